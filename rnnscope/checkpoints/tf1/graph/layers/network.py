"""From the cells found in a graph to a `Network` of layers.

One layer may appear many times: once a step in an unrolled graph, once a copy where a training
and a validation model share their weights. Appearances of one kernel whose states feed each
other are one layer; copies that would compute the same are one layer, with a note.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.cells.names import class_of, is_keras
from rnnscope.checkpoints.tf1.graph.feeds.lengths import length_candidates, read_lengths
from rnnscope.checkpoints.tf1.graph.feeds.masks import computed_mask, padding_rule
from rnnscope.checkpoints.tf1.graph.feeds.starts import start_parts
from rnnscope.checkpoints.tf1.graph.feeds.wiring import GraphWiring, Source
from rnnscope.checkpoints.tf1.graph.layers.feedback import Entangled, Feedbacks, FoundFeedback
from rnnscope.checkpoints.tf1.graph.layers.grouping import Appearances, group
from rnnscope.checkpoints.tf1.graph.layers.handover import Handover, Handovers
from rnnscope.checkpoints.tf1.graph.layers.reading_order import reads_backward
from rnnscope.checkpoints.tf1.graph.layers.unrolled import loop_scope, with_returned
from rnnscope.checkpoints.tf1.graph.layers.wrappers import find_wrapper
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import peel, walk
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import InitialState, OutsideState, StoredState, UncomputedState
from rnnscope.model.layers import Embedding, Masking, Unsupported
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer


@dataclass(frozen=True)
class GraphNetwork:
    """What `build_network` returns."""

    network: Network
    used: frozenset[str]
    embeddings: frozenset[str]
    notes: tuple[str, ...]
    appearances: Mapping[str, Appearances]
    """By layer, the steps in which the graph computes it."""
    turned_back: frozenset[str]
    """The layers whose outputs the graph turns round."""


def build_network(view: GraphView, weights: GraphWeights, cells: list[FoundCell]) -> GraphNetwork:
    """Group the cells into layers, follow what each reads, and put them in order."""
    return _Builder(view, weights, cells).build()


class _Builder:
    def __init__(self, view: GraphView, weights: GraphWeights, cells: list[FoundCell]) -> None:
        self._view = view
        self._weights = weights
        self._layers = {layer.name: layer for layer in group(view, weights, cells)}
        for layer in self._layers.values():
            if len(layer.cells) > 1 and self._is_top(layer):
                layer.cells = with_returned(view, weights, layer.cells)
        self._name_of = {
            tensor: layer.name
            for layer in self._layers.values()
            for cell in layer.cells
            for tensor in (cell.m, peel(view, cell.m), cell.outputs)
            if tensor is not None
        }
        reading = Reading(view, weights)
        self._wrappers = {
            name: wrapper
            for name, layer in self._layers.items()
            if (wrapper := find_wrapper(reading, layer.cells[0])) is not None
        }
        steps = [(name, layer.cells) for name, layer in self._layers.items()]
        self._feedbacks = Feedbacks(reading, steps)
        self._handovers = Handovers(view, steps, self._width_of)
        self._specs: dict[str, CellSpec] = {}
        self._after = {
            tensor
            for layer in self._layers.values()
            for cell in layer.cells
            for tensor in cell.after.values()
        }
        self._name_of.update({found.outputs: name for name, found in self._wrappers.items()})
        self._alias: dict[str, str] = {}
        self._built: dict[tuple[Any, ...], str] = {}
        self._building: set[str] = set()
        self._wiring = GraphWiring(view, weights, self._layer_of, self._build)
        self._copies: dict[str, list[str]] = defaultdict(list)
        self._notes: list[str] = []
        self._used: set[str] = set()

    def _is_top(self, layer: Appearances) -> bool:
        """Whether no other layer of the same unrolled stack reads m, or adds it to its x."""
        scope, m = loop_scope(self._weights, layer.cells[0]), layer.cells[0].m
        return not any(
            other is not layer
            and loop_scope(self._weights, other.cells[0]) == scope
            and any(tensor == m for tensor, _ in walk(self._view, other.cells[0].x, packed=True))
            for other in self._layers.values()
        )

    def build(self) -> GraphNetwork:
        for name in self._layers:
            self._build(name)
        for name, copies in self._copies.items():
            self._notes.append(
                f"The graph uses the weights of '{name}' in {len(copies) + 1} places "
                f"({', '.join([name, *copies])}) that would compute the same from one input; "
                "they are run once."
            )
        whole = Network(tuple(self._wiring.inputs), tuple(self._wiring.nodes.values()))
        return GraphNetwork(
            whole.in_order(node.name for node in whole.recurrent),
            frozenset(self._used),
            frozenset(self._wiring.embeddings),
            tuple(self._notes),
            self._layers,
            self._wiring.turned_back(),
        )

    def _layer_of(self, tensor: GraphTensor) -> str | None:
        name = self._name_of.get(tensor)
        return None if name is None else self._alias.get(name, name)

    def _build(self, name: str) -> None:
        if name in self._alias or name in self._wiring.nodes or name in self._building:
            return
        self._building.add(name)
        layer = self._layers[name]
        initial = self._initial_state(layer)
        feedback = self._feedbacks.find(name)
        with self._wiring.apart(name if initial.handover else ""):
            source = self._read_source(layer, feedback)
        backward = bool(source.turned) or reads_backward(self._view, layer.cells)
        cell = layer.cells[0]
        inner = source.name if source.name in self._wiring.nodes else "the input"
        fed = feedback.feedback.option.value if isinstance(feedback, FoundFeedback) else ""
        key = (self._weights.variables(cell.kernel), inner, backward, str(initial.state), fed)
        same = self._built.setdefault(key, name)
        if same != name:
            self._alias[name] = same
            self._copies[same].append(name)
            return
        spec = self._cell_spec(name)
        lengths = read_lengths(self._view, layer.selects, source.lengths)
        layer.lengths = length_candidates(self._view, layer.selects, source.lengths)
        wrapper = self._wrappers.get(name)
        if wrapper is not None:
            self._used.update(wrapper.names)
            self._notes.append(f"'{name}' returns {wrapper.words}, not m itself.")
        uses_lengths = lengths.kind != "unused"
        recurrent = RecurrentLayer(
            cell=spec,
            backward=Option(backward, "graph"),
            padding=Option(
                padding_rule(self._view, layer.cells) if uses_lengths else "none", "graph"
            ),
            lengths=Option(lengths, "graph"),
            initial_state=Option(initial.state, "graph"),
            state_format=Option(_state_format(self._view, cell), "graph"),
            reversal="within length" if source.turned == "within length" else "whole",
            wrapper=() if wrapper is None else wrapper.layers,
        )
        if source.turned:
            self._wiring.note_turn(name, source.turned)
        if isinstance(feedback, FoundFeedback):
            self._used.update(feedback.names)
            recurrent = replace(recurrent, feedback=feedback.feedback)
        if initial.handover is not None and initial.handover.obstacle:
            self._add_obstacle(name, initial.handover)
        reads = (self._masked(source.name, layer),) if source.name else ()
        self._wiring.nodes[name] = Node(name, recurrent, reads)

    def _add_obstacle(self, name: str, handover: Handover) -> None:
        """A stand-in for an initial state: without it the layer would start from zeros."""
        stand_in = _obstacle_name(name)
        reason = f"'{name}' {handover.obstacle}, which is not computed"
        node = Node(stand_in, Unsupported("initial state", stand_in, reason), handover.layers)
        self._wiring.nodes.setdefault(stand_in, node)

    def _masked(self, source: str, layer: Appearances) -> str:
        """What a layer reads, behind the mask that the graph computes from the model's input."""
        mask = computed_mask(self._view, (chosen.condition for chosen in layer.selects))
        node = self._wiring.nodes.get(source)
        if mask is None:
            return source
        if node is not None and isinstance(node.layer, Embedding) and not mask.features:
            embedding = replace(node.layer, mask_zero=mask.value == 0)
            self._wiring.nodes[source] = replace(node, layer=embedding)
        if source not in self._wiring.inputs or not mask.features:
            return source
        self._wiring.nodes.setdefault(mask.name, Node(mask.name, Masking(mask.value), (source,)))
        return mask.name

    def _read_source(
        self, layer: Appearances, feedback: FoundFeedback | Entangled | None
    ) -> Source:
        if isinstance(feedback, Entangled):
            name = f"{layer.name}/input"
            self._wiring.inputs.setdefault(name)
            stand_in = f"{layer.name}[{feedback.kind}]"
            node = Node(stand_in, Unsupported(feedback.kind, stand_in, feedback.reason), (name,))
            self._wiring.nodes.setdefault(stand_in, node)
            return Source(stand_in)
        if feedback is not None:
            return self._wiring.source(feedback.first)
        found = [self._wiring.source(cell.x) for cell in layer.cells]
        named = {(source.name, source.turned): source for source in found if source.name}
        if len(named) == 1:
            return next(iter(named.values()))
        if not named:
            name = f"{layer.name}/input"
            self._wiring.inputs.setdefault(name)
            self._notes.append(
                f"What '{layer.name}' reads could not be followed in the graph (it may read its "
                "own last output); the input is taken as what it receives."
            )
            return Source(name)
        names = [name for name, _ in named]
        if all(name in self._wiring.inputs for name in names):
            # One placeholder a step, as the seq2seq functions of TensorFlow 0.x and 1.x take.
            for name in names[1:]:
                del self._wiring.inputs[name]
            return next(iter(named.values()))
        return self._wiring.unsupported(
            f"{layer.name}/input", "several sources",
            f"its steps read different sources: {', '.join(names)}", names,
        )  # fmt: skip

    def _width_of(self, name: str, state: str) -> int:
        spec = self._cell_spec(name)
        return CELLS[spec.kind].widths(spec)[state]

    def _cell_spec(self, name: str) -> CellSpec:
        if name not in self._specs:
            self._specs[name] = self._read_spec(self._layers[name].cells[0])
        return self._specs[name]

    def _read_spec(self, cell: FoundCell) -> CellSpec:
        weights, options = cell.make()
        names = (self._weights.variables(tensor) for tensor in cell.weights)
        used = tuple(dict.fromkeys(name for found in names for name in found))
        self._used.update(used)
        return CellSpec(
            kind=cell.kind,
            source_class=class_of(cell, used[0]),
            weights=weights,
            options=options,
            variables=used,
            stored_gate_order=" ".join(cell.gate_order),
            from_keras=is_keras(cell),
        )

    def _initial_state(self, layer: Appearances) -> _Initial:
        before = layer.cells[0].before
        handover = self._handovers.read(layer.name, layer.cells[0])
        if handover is not None:
            for other in handover.layers:
                self._build(other)
            names = tuple(self._alias.get(other, other) for other in handover.layers)
            handover = replace(handover, layers=names)
            if not handover.obstacle:
                return _Initial(InitialState.handed_over(before, names, handover.join), handover)
            stand_in = _obstacle_name(layer.name)
            part = UncomputedState(stand_in)
            state = InitialState(dict.fromkeys(before, part), handover.obstacle, (stand_in,))
            return _Initial(state, handover)
        found = {state: self._start_parts(tensor) for state, tensor in before.items()}
        # A state that is chosen between a variable and what is fed is the user's to give.
        parts = {state: next((part for part in every if isinstance(part, OutsideState)), every[0])
                 for state, every in found.items() if every}  # fmt: skip
        words = [f"{state} from {part}" for state, every in found.items() for part in every]
        return _Initial(InitialState(parts, ", ".join(dict.fromkeys(words))), None)

    def _start_parts(self, before: GraphTensor) -> list[StoredState | OutsideState]:
        parts, names = start_parts(self._view, self._weights, before, self._after)
        self._used.update(names)
        return parts


@dataclass(frozen=True)
class _Initial:
    state: InitialState
    handover: Handover | None


def _obstacle_name(layer: str) -> str:
    """The stand-in for a layer's initial state that is not computed."""
    return f"{layer}[initial state]"


def _state_format(view: GraphView, cell: FoundCell) -> str:
    if "c" not in cell.before:
        return "m"
    node = view.node(peel(view, cell.before["c"]))
    packed = node is not None and node.op in ("Split", "SplitV", "Slice", "StridedSlice")
    return "concat [c, m]" if packed else "tuple (c, m)"
