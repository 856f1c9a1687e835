"""Layers whose x is made of their own last output: loop functions, and attention.

A decoder that is run freely reads, from its second step on, what a loop function makes of its
last output: the output itself, a projection of it, or the embedding of its largest entry. What
cannot be read so is an obstacle with a name, never a plain input.
"""

from __future__ import annotations

from collections.abc import Iterable

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import GATHERS
from rnnscope.checkpoints.tf1.graph.layers.circles import Circles
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import (
    ADDS,
    COMES_BACK,
    ENTERS,
    HANDS_ON_FIRST,
)
from rnnscope.checkpoints.tf1.graph.nodes.expressions import ACTIVATION_OPS, both_ways
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import spell
from rnnscope.model.cell import Option
from rnnscope.model.layers import Activation, ArgMax, Dense, Embedding
from rnnscope.model.recurrent_layer import Feedback
from rnnscope.model.signal import Layer

MAX_LAYERS = 32
"""Ops between an output and the next x: a loop function has five at most."""


@dataclass(frozen=True)
class FoundFeedback:
    """A loop function as the graph has it.

    Attributes
    ----------
    first : GraphTensor
        The x of the first step, which is given.
    feedback : Feedback
    names : tuple of str
        The stored variables it uses.
    """

    first: GraphTensor
    feedback: Feedback
    names: tuple[str, ...]


@dataclass(frozen=True)
class Entangled:
    """A layer whose x is made of its own last output in a way that is not read.

    Attributes
    ----------
    kind : str
        ``"attention"`` or ``"loop function"``.
    reason : str
    """

    kind: str
    reason: str


@dataclass(frozen=True)
class _Chain:
    """What leads from an output to an x, in the order of computation."""

    layers: tuple[Layer, ...]
    names: tuple[str, ...]
    words: str
    source: tuple[str, int]
    """The layer whose m it starts with, and which of its steps."""


class Feedbacks:
    """Finds the layers of a graph that read their own last output.

    Parameters
    ----------
    reading : Reading
    cells : iterable of (str, list of FoundCell)
        The layers and their steps.
    """

    def __init__(self, reading: Reading, cells: Iterable[tuple[str, list[FoundCell]]]) -> None:
        self._reading = reading
        self._view = reading.view
        self._cells = dict(cells)
        self._circles = Circles(reading.view, self._cells)
        self._m = {
            cell.m: (name, number)
            for name, steps in self._cells.items()
            for number, cell in enumerate(steps)
        }

    def find(self, name: str) -> FoundFeedback | Entangled | None:
        """The loop function of a layer; None if it reads nothing of its own past."""
        if not self._circles.feeds_itself(name):
            return None
        steps = self._cells[name]
        first, chains = self._split(steps)
        if first is not None and chains and None not in chains:
            found = [chain for chain in chains if chain is not None]
            alike = len({(chain.words, chain.source[0]) for chain in found}) == 1
            if alike and self._follow(found, steps):
                option = Option(found[0].words, "graph", steps[-1].x.node)
                feedback = Feedback(found[0].source[0], found[0].layers, option, of_m=True)
                return FoundFeedback(first, feedback, found[0].names)
        return self._entangled(name)

    def _split(self, steps: list[FoundCell]) -> tuple[GraphTensor | None, list[_Chain | None]]:
        """The first x, and the chains that lead to the later ones."""
        if len(steps) > 1:
            return steps[0].x, [self._chain(cell.x) for cell in steps[1:]]
        tensor = steps[0].x
        for _ in range(MAX_LAYERS):
            node = self._view.node(tensor)
            if node is None:
                break
            if node.op == "_LoopVariable" and len(node.inputs) > 1:
                return node.inputs[0], [self._chain(node.inputs[1])]
            if node.op in ("Merge", "RefMerge"):
                by_op = {self._view.op(part): part for part in node.inputs}
                enters = next((by_op[op] for op in ENTERS if op in by_op), None)
                back = next((by_op[op] for op in COMES_BACK if op in by_op), None)
                return enters, [] if back is None else [self._chain(back)]
            if node.op not in HANDS_ON_FIRST:
                break
            tensor = node.inputs[0]
        return None, []

    def _follow(self, chains: list[_Chain], steps: list[FoundCell]) -> bool:
        """Whether each x is made of the output of the step right before it."""
        if len(steps) == 1:
            return True
        return [chain.source[1] for chain in chains] == list(range(len(steps) - 1))

    def _chain(self, tensor: GraphTensor) -> _Chain | None:
        """The layers between an m and a tensor, if nothing else goes in."""
        layers: list[Layer] = []
        names: list[tuple[str, ...]] = []
        for _ in range(MAX_LAYERS):
            if tensor in self._m:
                layers.reverse()
                used = tuple(name for part in reversed(names) for name in part)
                words = feedback_words(layers, used)
                return _Chain(tuple(layers), used, words, self._m[tensor])
            node = self._view.node(tensor)
            if node is None or not node.inputs:
                return None
            if node.op in HANDS_ON_FIRST:
                tensor = node.inputs[0]
                continue
            read = self._layer(node)
            if read is None:
                return None
            layer, tensor, used_here = read
            layers.append(layer)
            names.append(used_here)
        return None

    def _layer(self, node: GraphNode) -> tuple[Layer, GraphTensor, tuple[str, ...]] | None:
        """One layer of a chain: it, what it reads, and the variables it uses."""
        weights = self._reading.weights
        if node.op == "MatMul":
            return self._dense(node, None)
        if node.op in ADDS or node.op == "BiasAdd":
            for product, bias in both_ways(node):
                matrix = self._reading.node(product)
                if matrix is not None and matrix.op == "MatMul" and weights.is_weight(bias):
                    return self._dense(matrix, bias)
            return None
        if node.op in GATHERS and weights.variables(node.inputs[0]):
            names = weights.variables(node.inputs[0])
            table = weights.read(node.inputs[0])
            return (Embedding(table, name=names[0]), node.inputs[1], names)
        if node.op == "ArgMax" and self._view.scalar(node.inputs[1]) in (1, -1):
            return ArgMax(), node.inputs[0], ()
        if node.op in ACTIVATION_OPS:
            return Activation(ACTIVATION_OPS[node.op]), node.inputs[0], ()
        return None

    def _dense(
        self, product: GraphNode, bias: GraphTensor | None
    ) -> tuple[Layer, GraphTensor, tuple[str, ...]] | None:
        weights, kernel = self._reading.weights, product.inputs[1]
        if not weights.variables(kernel) or product.flag("transpose_a"):
            return None
        matrix = weights.read(kernel)
        matrix = matrix.T if product.flag("transpose_b") else matrix
        added = None if bias is None else weights.read(bias).reshape(-1)
        return Dense(matrix, added), product.inputs[0], self._reading.names(kernel, bias)

    def _entangled(self, name: str) -> Entangled:
        if self._circles.attends(name):
            return Entangled(
                "attention",
                f"'{name}' is an attention decoder: what it reads is computed from the encoder's "
                "outputs and its own last state, which rnnscope does not do",
            )
        return Entangled(
            "loop function",
            f"the graph makes the next x of '{name}' of its own last output, in a way that is not "
            f"read; say which with {spell('loop_function')}",
        )


def feedback_words(layers: list[Layer], names: tuple[str, ...]) -> str:
    """A loop function in the words of ``--loop-function``, as far as these have a name for it."""
    kinds = [layer.kind for layer in layers]
    forms = {
        (): "identity",
        ("Dense",): "linear",
        ("ArgMax", "Embedding"): "argmax",
        ("Dense", "ArgMax", "Embedding"): "argmax",
    }
    form = forms.get(tuple(kinds))
    if form is None:
        return f"{', then '.join(kinds)} ({', '.join(names)})"
    return f"{form}:{','.join(names)}" if names else form
