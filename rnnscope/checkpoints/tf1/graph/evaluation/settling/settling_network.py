"""The network that becomes of a graph, layer by layer, once the graph itself was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.settling.directions import Directions
from rnnscope.checkpoints.tf1.graph.evaluation.settling.graph_layers import (
    ComputedLengths,
    EvaluatedLayer,
)
from rnnscope.checkpoints.tf1.graph.evaluation.settling.graph_run import GraphRun, ModelInput
from rnnscope.checkpoints.tf1.graph.evaluation.settling.input_search import InputSearch
from rnnscope.checkpoints.tf1.graph.layers.network import GraphNetwork
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import VARIABLES, GraphWeights
from rnnscope.model.cell import Option
from rnnscope.model.initial_state import (
    FinalState,
    InitialState,
    StatePart,
    UncomputedState,
)
from rnnscope.model.layers import IdsAsFeatures, Unsupported
from rnnscope.model.layers.evaluated import EvaluatedMask
from rnnscope.model.lengths_source import LengthsSource
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer


class SettlingNetwork:
    """What has been decided so far of each node of a network, and what there is to decide it by.

    Attributes
    ----------
    view : GraphView
    weights : GraphWeights
    built : GraphNetwork
        As the graph was read, before it was asked.
    proof : Proof
    full : Recorder
        Of the whole graph, at any size.
    lengths : dict of str to tuple of GraphTensor and ndarray of int (sequence,)
        As of the proof, and of the layers that were found since.
    directions : Directions
    search : InputSearch
    nodes : dict of str to Node
        Those that are settled.
    inputs : dict of str to None
        Inputs of the model that evaluated layers read, in order.
    notes : list of str
    used : set of str
        Stored variables that evaluated layers are computed with.
    refused : set of str
        Names of layers.
    """

    def __init__(
        self, view: GraphView, weights: GraphWeights, built: GraphNetwork, proof: Proof
    ) -> None:
        self.view = view
        self.weights = weights
        self.built = built
        self.proof = proof
        self.nodes: dict[str, Node] = {}
        self.inputs: dict[str, None] = {}
        self.notes: list[str] = []
        self.used: set[str] = set()
        self.refused: set[str] = set()
        self.full = Recorder(view, weights, proof.recorder.loops)
        self.lengths = dict(proof.lengths)
        self.directions = Directions(view, proof, self.full, self.lengths)
        self.search = InputSearch(proof, self.full)

    @property
    def all_used(self) -> frozenset[str]:
        """Stored variables that any layer is computed with."""
        return self.built.used | self.used

    def finished(self) -> GraphNetwork:
        """The network, in order, with the inputs that it reads."""
        self._block_starts()
        nodes = tuple(self.nodes.values())
        read = {name for node in nodes for name in (*node.reads, *node.listed_inputs)}
        known = dict.fromkeys((*self.built.network.inputs, *self.inputs))
        inputs = tuple(name for name in known if name in read and name not in self.nodes)
        network = Network(inputs, nodes)
        return replace(
            self.built,
            network=network.in_order(
                node.name for node in nodes if node.recurrent or node.name in self.refused
            ),
            used=self.built.used | self.used,
            notes=(*self.built.notes, *self.notes),
        )

    def _block_starts(self) -> None:
        """A layer that starts from the final state of a refused one waits for another start."""
        refused = {name for name, node in self.nodes.items()
                   if isinstance(node.layer, Unsupported)}  # fmt: skip
        for name, node in self.nodes.items():
            layer = node.recurrent
            if layer is None or refused.isdisjoint(layer.starts_from_layers):
                continue
            parts: dict[str, StatePart] = {
                state: UncomputedState(next(one for one in part.layers if one in refused))
                if isinstance(part, FinalState) and not refused.isdisjoint(part.layers)
                else part
                for state, part in layer.initial_state.value.parts.items()
            }
            start = InitialState(parts, str(layer.initial_state.value))
            blocked = replace(layer, initial_state=Option(start, "graph"))
            self.nodes[name] = replace(node, layer=blocked)

    def add_refused(self, name: str, reason: str) -> None:
        words = f"'{name}': {reason}"
        self._note_refused(name, words)
        self.nodes.setdefault(
            name, Node(name, Unsupported("graph ops", name, words, recurrent=True), ())
        )

    def _note_refused(self, name: str, reason: str) -> None:
        self.refused.add(name)
        self.notes.append(f"Refused: {reason}.")

    def note_assumed(self, name: str, evaluated: EvaluatedLayer) -> None:
        """Say what the evaluation of a layer takes for granted."""
        if evaluated.assumed:
            self.notes.append(
                f"What the graph computes for '{name}' is evaluated with "
                f"{', '.join(evaluated.assumed)}."
            )

    def entry(self, source: ModelInput) -> str:
        """Where the model's input goes in, for a graph cell."""
        self.inputs.setdefault(source.name)
        if not source.is_ids:
            return source.name
        name = f"{source.name}[numbers]"
        self.nodes.setdefault(name, Node(name, IdsAsFeatures(), (source.name,)))
        return name

    def source_of_lengths(self, name: str) -> ModelInput | None:
        """The one input that the graph computes a layer's lengths from; None for no one."""
        found = self.lengths.get(name)
        return None if found is None else self.search.of_lengths(found[0])

    def computes_lengths(self, name: str, source: ModelInput) -> bool:
        """Whether the graph computes a layer's lengths from this input alone."""
        found = self.source_of_lengths(name)
        return found is not None and found.name == source.name

    def behind_lengths(
        self, name: str, layer: RecurrentLayer, reads: str, source: ModelInput
    ) -> tuple[RecurrentLayer, str]:
        """A layer with the lengths that the graph computes, and the node that masks `reads`."""
        tensor, _ = self.lengths[name]
        self.inputs.setdefault(source.name)
        self.used.update(self.variables_behind([tensor]))
        lengths = ComputedLengths(GraphRun(self.full, source, {}), tensor)
        own = self._mask_name(str(tensor), (reads, source.name))
        mask = EvaluatedMask(tensor.node, lengths, ids=source.is_ids)
        self.nodes.setdefault(own, Node(own, mask, (reads, source.name)))
        words = f"sequence_length computed from '{source.name}' (node '{tensor.node}')"
        return replace(layer, lengths=Option(LengthsSource("mask", words), "graph")), own

    def _mask_name(self, name: str, reads: tuple[str, ...]) -> str:
        """A name for a node that makes a mask, with a number where one that does not is called so.

        Layers that read the same behind the same mask share its node.
        """
        number, found = 1, name
        while (there := self.nodes.get(found) or self.built.network.by_name.get(found)) is not None:
            if isinstance(there.layer, EvaluatedMask) and there.reads == reads:
                break
            number += 1
            found = f"{name}_{number}"
        return found

    def is_obstructed(self, node: Node) -> bool:
        """Whether the layer reads a stand-in, which says why it cannot be run."""
        before = self.nodes.get(node.reads[0]) if node.reads else None
        return before is not None and isinstance(before.layer, Unsupported)

    def cells(self, name: str) -> list[FoundCell]:
        return self.built.appearances[name].cells

    def variables_behind(self, tensors: Iterable[GraphTensor]) -> list[str]:
        """The stored variables that some tensors are computed from, in the loops they lie in."""
        pending, seen, found = [*tensors], set[str](), dict[str, None]()
        while pending and len(seen) < 100_000:
            node = self.view.node(pending.pop())
            if node is None or node.name in seen:
                continue
            seen.add(node.name)
            if node.op in VARIABLES:
                found.update(dict.fromkeys(self.weights.variables(GraphTensor(node.name))))
            pending.extend(node.inputs)
            pending.extend(
                result for index in range(8)
                for result in self.view.results(GraphTensor(node.name, index))
            )  # fmt: skip
        return [name for name in found if name in self.weights.names]

    def refuse(self, node: Node, reason: str) -> None:
        self._note_refused(node.name, reason)
        self.nodes[node.name] = Node(
            node.name, Unsupported("graph ops", node.name, reason, recurrent=True), node.reads
        )
