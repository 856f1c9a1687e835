"""Which layer reads what: from a cell's x back to the layer or placeholder that makes it.

A sequence is followed as a whole. TensorArrays and TensorLists (dynamic_rnn), stacked and
unstacked lists (static_rnn), transposes between batch- and time-major, and Selects past the
length are the same sequence in another dress. Reversals are kept, since they make a layer
backward; joins of two sequences, embeddings and dense layers become nodes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import (
    DRESSED,
    EMPTY,
    GATHERS,
    INPUT_OPS,
    MAX_STEPS,
    QUEUE_OPS,
    REVERSES,
)
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ADDS, SELECTS, handed_on
from rnnscope.checkpoints.tf1.graph.nodes.expressions import ACTIVATION_OPS, read_activation
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import (
    GraphNode,
    GraphTensor,
    GraphView,
    is_zero,
)
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.layers import Activation, Dense, Embedding, Merge, Unsupported
from rnnscope.model.network import Node
from rnnscope.model.signal import Layer


@dataclass(frozen=True)
class Source:
    """A sequence: the node that makes it, turned round or not."""

    name: str
    turned: str = ""
    """``""``, ``"whole"`` or ``"within length"``."""
    lengths: GraphTensor | None = None
    """The lengths a turn keeps within."""


class GraphWiring:
    """Follows sequences back to their sources, and collects the nodes between.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    layer_of : callable
        ``layer_of(tensor) -> str | None``: the recurrent layer whose m a tensor is.
    build : callable
        ``build(name)``: makes sure that a recurrent layer's own node has been added, its sources
        first.
    """

    def __init__(
        self,
        view: GraphView,
        weights: GraphWeights,
        layer_of: Callable[[GraphTensor], str | None],
        build: Callable[[str], None],
    ) -> None:
        self._view = view
        self._weights = weights
        self._layer_of = layer_of
        self._build = build
        self.nodes: dict[str, Node] = {}
        self.inputs: dict[str, None] = {}
        self.embeddings: set[str] = set()
        self._known: dict[GraphTensor, Source | None] = {}
        self._turned_by: dict[str, str] = {}
        self._made: dict[tuple[object, ...], str] = {}
        self._apart = ""
        self._made_for: dict[str, str] = {}

    @contextmanager
    def apart(self, layer: str) -> Iterator[None]:
        """While a decoder's sources are followed: nodes that an encoder made are not its own.

        Where both embed their ids with one table, each reads the embedding of its own ids.
        """
        before, self._apart = self._apart, layer
        try:
            yield
        finally:
            self._apart = before

    def note_turn(self, layer: str, turned: str) -> None:
        """Remember that a layer reads its input turned, so that its outputs are turned too."""
        self._turned_by[layer] = turned

    def turned_back(self) -> frozenset[str]:
        """The layers whose outputs an op turns round as they are."""
        found: set[str] = set()
        for node in self._view:
            if node.op in REVERSES or node.op == "ReverseSequence":
                found.update(self._handed_to(node.inputs[0]))
        return frozenset(found)

    def _handed_to(self, tensor: GraphTensor) -> Iterator[str]:
        """The layers whose outputs a tensor is, with nothing computed of them."""
        pending, seen = [tensor], {tensor}
        while pending and len(seen) < MAX_STEPS:
            current = pending.pop()
            layer, node = self._layer_of(current), self._view.node(current)
            if layer is not None:
                yield layer
            elif node is not None:
                new = [step for step in self._onward(node, current) or () if step not in seen]
                seen.update(new)
                pending.extend(new)

    def source(self, tensor: GraphTensor) -> Source:
        """The sequence that a tensor is, or is one step of."""
        if tensor in self._known:
            known = self._known[tensor]
            # None: this very question is being answered, so the layer feeds itself.
            return known if known is not None else Source("")
        self._known[tensor] = None
        found = self._find(tensor)
        self._known[tensor] = found
        return found

    def _find(self, tensor: GraphTensor) -> Source:
        """Walk back until something computes; forks (Merge, Select, Pack) must agree."""
        pending, seen, found = [tensor], {tensor}, list[Source]()
        while pending and len(seen) < MAX_STEPS:
            current = pending.pop()
            layer = self._layer_of(current)
            if layer is not None:
                self._build(layer)
                found.append(Source(layer, self._turned_by.get(layer, "")))
                continue
            node = self._view.node(current)
            if node is None or node.op in EMPTY or is_zero(self._view, current):
                continue
            onward = self._onward(node, current)
            if onward is None:
                computed = self._computed(node, current)
                if computed is not None:
                    found.append(computed)
                continue
            for step in onward:
                if step not in seen:
                    seen.add(step)
                    pending.append(step)
        distinct = {(source.name, source.turned): source for source in found if source.name}
        if len(distinct) == 1:
            return next(iter(distinct.values()))
        if not distinct:
            return Source("")
        names = sorted(name for name, _ in distinct)
        reason = f"it reads several sources by turns: {', '.join(names)}"
        return self.unsupported(tensor.node, "several sources", reason, names)

    def _onward(self, node: GraphNode, tensor: GraphTensor) -> tuple[GraphTensor, ...] | None:
        if node.op in SELECTS or node.op == "Mul":
            return handed_on(self._view, node, tensor)
        onward = handed_on(self._view, node, tensor)
        if onward is not None:
            return onward
        if node.op in DRESSED and len(node.inputs) > DRESSED[node.op]:
            return (node.inputs[DRESSED[node.op]],)
        if node.op in ("Pack", "ParallelStack"):
            return node.inputs
        if node.op in ("ConcatV2", "Concat") and self._joins_time(node):
            return node.inputs[:-1] if node.op == "ConcatV2" else node.inputs[1:]
        return None

    def _joins_time(self, node: GraphNode) -> bool:
        """Whether a Concat puts steps after one another (axis 0), not features side by side."""
        axis = self._view.scalar(node.inputs[-1] if node.op == "ConcatV2" else node.inputs[0])
        return axis == 0

    def _computed(self, node: GraphNode, tensor: GraphTensor) -> Source | None:
        """A node for something that is computed between two layers or in front of the first."""
        if node.op in INPUT_OPS or node.op in QUEUE_OPS:
            return self._input(str(GraphTensor(node.name, tensor.index)))
        if node.op in REVERSES or node.op == "ReverseSequence":
            return self._reversed(node)
        if node.op in GATHERS and self._weights.variables(node.inputs[0]):
            return self._embedding(node)
        if node.op in ("ConcatV2", "Concat"):
            parts = node.inputs[:-1] if node.op == "ConcatV2" else node.inputs[1:]
            return self._several(node, parts, Merge("Concatenate"))
        if node.op == "MatMul":
            return self._dense(node, None)
        if node.op in ADDS or node.op == "BiasAdd":
            return self._sum(node)
        if node.op in ACTIVATION_OPS:
            name, source = read_activation(self._view, GraphTensor(node.name))
            return self._one(node.name, source, Activation(name))
        if node.op == "Const":
            return None
        return self._opaque(node)

    def _input(self, name: str) -> Source:
        self.inputs.setdefault(name)
        return Source(name)

    def _reversed(self, node: GraphNode) -> Source:
        inner = self.source(node.inputs[0])
        turn = "within length" if node.op == "ReverseSequence" else "whole"
        if not inner.turned:
            lengths = node.inputs[1] if node.op == "ReverseSequence" else None
            return Source(inner.name, turn, lengths)
        return Source(inner.name)

    def _embedding(self, node: GraphNode) -> Source:
        table = self._weights.read(node.inputs[0])
        if table.ndim != 2:
            return self._opaque(node)
        name = self._weights.variables(node.inputs[0])[0]
        self.embeddings.add(name)
        ids = self.source(node.inputs[1])
        return self._add(name, Embedding(table, name=name), (ids.name,), ids.turned, weighty=True)

    def _dense(self, product: GraphNode, bias: GraphTensor | None) -> Source:
        left, kernel = product.inputs[:2]
        if not self._weights.variables(kernel) or product.flag("transpose_a"):
            return self._opaque(product)
        inner = self.source(left)
        matrix = self._weights.read(kernel)
        if product.flag("transpose_b"):
            matrix = matrix.T
        added = None if bias is None else self._weights.read(bias)
        name = self._weights.variables(kernel)[0].rpartition("/")[0] or product.name
        return self._add(name, Dense(matrix, added), (inner.name,), inner.turned, weighty=True)

    def _sum(self, node: GraphNode) -> Source:
        left, right = node.inputs[:2]
        for product, bias in ((left, right), (right, left)):
            matrix = self._view.node(product)
            dressed = 0
            while matrix is not None and matrix.op in ("Reshape", "Identity") and dressed < 4:
                matrix, dressed = self._view.node(matrix.inputs[0]), dressed + 1
            if matrix is not None and matrix.op == "MatMul" and self._weights.is_weight(bias):
                return self._dense(matrix, bias)
        if node.op in ADDS and not any(self._weights.is_weight(part) for part in node.inputs):
            return self._several(node, node.inputs, Merge("Add"))
        return self._opaque(node)

    def _one(self, name: str, tensor: GraphTensor, layer: Layer) -> Source:
        inner = self.source(tensor)
        return self._add(name, layer, (inner.name,), inner.turned)

    def _several(self, node: GraphNode, tensors: tuple[GraphTensor, ...], layer: Layer) -> Source:
        sources = [self.source(tensor) for tensor in tensors]
        if any(not source.name or source.turned for source in sources):
            return self._opaque(node)
        names = tuple(source.name for source in sources)
        if all(name in self.inputs for name in names):
            return self._input(node.name)  # features joined in front of every layer
        return self._add(node.name, layer, names, "")

    def _add(
        self, name: str, layer: Layer, inputs: tuple[str, ...], turned: str, weighty: bool = False
    ) -> Source:
        """A node, or the same one again: an unrolled graph repeats each layer once a step."""
        if not all(inputs):
            return Source("")
        mine = f"{name} (of {self._apart})"
        if self._apart and weighty and self._made_for.get(name, self._apart) != self._apart:
            name = mine
        same = (layer.kind, inputs, getattr(layer, "activation", ""), name if weighty else "")
        known = self._made.setdefault(same, name)
        if known not in self.nodes:
            self.nodes[known] = Node(known, layer, inputs)
            self._made_for[known] = self._apart
        return Source(known, turned)

    def _opaque(self, node: GraphNode) -> Source:
        """Something that rnnscope does not compute: an input of its own, or a named obstacle."""
        reached = self._layers_behind(node)
        if not reached:
            return self._input(node.name)
        reason = f"the graph computes its input with op {node.op} (node '{node.name}')"
        return self.unsupported(node.name, node.op, reason, reached)

    def unsupported(self, name: str, kind: str, reason: str, reads: list[str]) -> Source:
        """A named obstacle between layers, and what it reads."""
        for layer in reads:
            if self._view.node(GraphTensor(layer)) is None and layer not in self.nodes:
                self._build(layer)
        known = tuple(name for name in reads if name in self.nodes or name in self.inputs)
        self.nodes.setdefault(name, Node(name, Unsupported(kind, name, reason), known))
        return Source(name)

    def _layers_behind(self, node: GraphNode) -> list[str]:
        """The recurrent layers that an op reads from, however far back; the nearest only."""
        pending, seen, reached = list(node.inputs), set(node.inputs), dict[str, None]()
        while pending and len(seen) < MAX_STEPS:
            current = pending.pop()
            layer = self._layer_of(current)
            if layer is not None:
                reached.setdefault(layer)
                continue
            behind = self._view.node(current)
            onward: tuple[GraphTensor, ...] = () if behind is None else behind.inputs
            if behind is not None and not onward:
                onward = self._view.results(current)
            for step in onward:
                if step not in seen:
                    seen.add(step)
                    pending.append(step)
        return list(reached)
