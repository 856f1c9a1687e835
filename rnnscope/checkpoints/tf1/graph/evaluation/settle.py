"""What becomes of each layer once the graph itself was asked: proved, evaluated, or refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.dataflow import peel
from rnnscope.checkpoints.tf1.graph.evaluation.directions import Directions
from rnnscope.checkpoints.tf1.graph.evaluation.graph_layers import EvaluatedLayer
from rnnscope.checkpoints.tf1.graph.evaluation.graph_run import ModelInput
from rnnscope.checkpoints.tf1.graph.evaluation.input_search import InputSearch
from rnnscope.checkpoints.tf1.graph.evaluation.loops import Loop
from rnnscope.checkpoints.tf1.graph.evaluation.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.recording import CellRecord, Obstacle, Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.unknown_loops import (
    UnknownLoop,
    common_scope,
    held_past_lengths,
    unknown_loops,
)
from rnnscope.checkpoints.tf1.graph.evaluation.verdict import Verdict
from rnnscope.checkpoints.tf1.graph.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.network import GraphNetwork
from rnnscope.checkpoints.tf1.graph.state_parts import loop_variable
from rnnscope.checkpoints.tf1.graph.unrolled import handed_over, reaches
from rnnscope.checkpoints.tf1.graph.weights import VARIABLES, GraphWeights
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.cells.graph_cell import GraphOptions
from rnnscope.model.evidence import Evidence
from rnnscope.model.initial_state import (
    FinalState,
    InitialState,
    OutsideState,
    StatePart,
    UncomputedState,
)
from rnnscope.model.layers import IdsAsFeatures, Masking, Unsupported
from rnnscope.model.lengths_source import LENGTHS_UNUSED, LengthsSource
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer


def settle(
    view: GraphView, weights: GraphWeights, built: GraphNetwork, proof: Proof
) -> GraphNetwork:
    """A network in which every layer is accounted for.

    A layer that the graph agrees with is proved. Where the graph puts more in front of it than
    was read, this is evaluated (`GraphFront`); where it computes something else, the layer itself
    is (`graph` of CELLS); where neither can be done, the layer is refused, with the reason.
    """
    return _Settling(view, weights, built, proof).settle()


class _Settling:
    def __init__(
        self, view: GraphView, weights: GraphWeights, built: GraphNetwork, proof: Proof
    ) -> None:
        self._view = view
        self._weights = weights
        self._built = built
        self._proof = proof
        self._nodes: dict[str, Node] = {}
        self._inputs: dict[str, None] = {}
        self._notes: list[str] = []
        self._used: set[str] = set()
        self._refused: set[str] = set()
        self._full = Recorder(view, weights, proof.recorder.loops)
        self._directions = Directions(view, proof, self._full)
        self._search = InputSearch(proof, self._full)

    def settle(self) -> GraphNetwork:
        for node in self._built.network.nodes:
            if node.recurrent is None:
                self._nodes.setdefault(node.name, node)
            else:
                self._settle(node, node.recurrent)
        self._add_unknown()
        self._block_starts()
        nodes = tuple(self._nodes.values())
        read = {name for node in nodes for name in (*node.reads, *node.listed_inputs)}
        known = dict.fromkeys((*self._built.network.inputs, *self._inputs))
        inputs = tuple(name for name in known if name in read and name not in self._nodes)
        network = Network(inputs, nodes)
        return replace(
            self._built,
            network=network.in_order(
                node.name for node in nodes if node.recurrent or node.name in self._refused
            ),
            used=self._built.used | self._used,
            notes=(*self._built.notes, *self._notes),
        )

    def _block_starts(self) -> None:
        """A layer that starts from the final state of a refused one waits for another start."""
        refused = {name for name, node in self._nodes.items()
                   if isinstance(node.layer, Unsupported)}  # fmt: skip
        for name, node in self._nodes.items():
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
            self._nodes[name] = replace(node, layer=blocked)

    def _add_unknown(self) -> None:
        """Layers for the states of loops that no cell was found for."""
        known = {name: one.cells for name, one in self._built.appearances.items()}
        found, obstacles = unknown_loops(self._view, self._proof, known)
        for unknown in found:
            beside = [
                name for name, cells in known.items()
                if self._proof.recorder.loops.around(cells[0].m) is unknown.loop
            ]  # fmt: skip
            if beside and not self._own_weights(unknown):
                states = ", ".join(state for state in unknown.cell.before if state not in "cm")
                self._notes.append(
                    f"The loop of {', '.join(map(repr, beside))} carries further states, which are "
                    f"not kept: {states or 'those of its outputs'}."
                )
            else:
                self._as_layer(unknown)
        for name, reason in obstacles.items():
            loop = self._proof.recorder.loops.every[name]
            updates = [variable.update for variable in loop.variables.values()]
            weights = [one for one in self._variables_behind(updates) if one not in self._all_used]
            if weights:
                words = f"the loop '{name}', which uses {', '.join(weights)}, is not computed"
                self._add_refused(name, f"{words} ({reason})")

    def _as_layer(self, unknown: UnknownLoop) -> None:
        """A loop that is evaluated, as a layer; refused by name where it cannot be."""
        behind = self._behind(unknown)
        name = common_scope(self._own_weights(unknown)) or unknown.loop.name
        while name in self._nodes:
            name = f"{name}/{unknown.loop.name.rpartition('/')[2]}"
        layer = self._directions.of_x(_plain_layer(unknown), unknown.record)
        if unknown.record.steps != self._proof.sizes.timesteps:
            self._add_refused(name, f"it takes {unknown.record.steps} steps of its input's")
            return
        found = self._search.find(name, [unknown.cell], unknown.record, layer, unknown.written)
        if isinstance(found, Obstacle):
            self._add_refused(name, f"its states are no stock cell's, and {found.words}")
            return
        evaluated, source = found
        self._used.update(behind)
        made = evaluated.as_cell(unknown.record, tuple(behind))
        self._nodes[name] = Node(name, made, (self._entry(source),))
        states = ", ".join(unknown.cell.before)
        self._notes.append(
            f"'{name}' is no stock cell: its states ({states}) are what the graph computes, op by "
            "op."
        )
        self._note_assumed(name, evaluated)

    def _behind(self, unknown: UnknownLoop) -> list[str]:
        """The stored variables that an unknown loop is computed with."""
        written = [] if unknown.written is None else [unknown.written]
        return self._variables_behind([*unknown.cell.after.values(), *written])

    def _own_weights(self, unknown: UnknownLoop) -> list[str]:
        """Those of them that no layer uses that is known."""
        return [name for name in self._behind(unknown) if name not in self._all_used]

    @property
    def _all_used(self) -> frozenset[str]:
        return self._built.used | self._used

    def _add_refused(self, name: str, reason: str) -> None:
        words = f"'{name}': {reason}"
        self._note_refused(name, words)
        self._nodes.setdefault(
            name, Node(name, Unsupported("graph ops", name, words, recurrent=True), ())
        )

    def _settle(self, node: Node, layer: RecurrentLayer) -> None:
        verdict = self._proof.verdicts.get(node.name)
        if verdict is not None and verdict.turned is not None:
            layer = verdict.turned
        if verdict is None:
            obstacle = self._proof.obstacles[node.name]
            if obstacle.refuses:
                self._refuse_for(node, f"'{node.name}' is not understood: {obstacle.words}")
                return
            known = Evidence("by data flow", detail=obstacle.words)
            self._nodes[node.name] = replace(node, layer=replace(layer, evidence=known))
            if not self._is_obstructed(node):
                self._notes.append(
                    f"'{node.name}' was read by data flow, and could not be held to what the graph "
                    f"computes: {obstacle.words}."
                )
        elif not verdict.faults:
            self._nodes[node.name] = replace(node, layer=replace(layer, evidence=verdict.evidence))
        elif verdict.kinds() == {"input"} and self._front(node, layer, verdict):
            return
        else:
            turns = "turn" in verdict.kinds()
            why = "" if turns else self._as_graph_cell(node, layer, verdict)
            if why or turns:
                self._refuse(node, layer, verdict, why)

    def _is_obstructed(self, node: Node) -> bool:
        """Whether the layer reads a stand-in, which says why it cannot be run."""
        before = self._nodes.get(node.reads[0]) if node.reads else None
        return before is not None and isinstance(before.layer, Unsupported)

    def _front(self, node: Node, layer: RecurrentLayer, verdict: Verdict) -> bool:
        """Put what the graph computes in front of a proved cell, if it can be evaluated."""
        if self._attends_unrolled(node):
            return False
        record = self._proof.records[node.name]
        found = self._search.find(node.name, self._cells(node.name), record, layer, None)
        if isinstance(found, Obstacle):
            return False
        evaluated, source = found
        masking = self._masking_of(node, layer, source)
        if masking is None:
            return False
        layer = self._directions.aligned(layer, self._cells(node.name), source)
        evaluated = replace(evaluated, layer=layer)
        name = node.reads[0] if node.reads else ""
        if not name or name in self._built.network.by_name or name == source.name:
            name = f"{node.name}[x]"
        front = evaluated.as_front(name)
        self._inputs.setdefault(source.name)
        self._nodes[name] = Node(name, front, (masking or source.name,))
        proved = replace(layer, evidence=verdict.evidence)
        self._nodes[node.name] = replace(node, layer=proved, reads=(name,))
        self._used.update(self._variables_behind([self._cells(node.name)[0].x]))
        self._note_assumed(node.name, evaluated)
        return True

    def _masking_of(self, node: Node, layer: RecurrentLayer, source: ModelInput) -> str | None:
        """The node that makes a layer's mask, in front of what is put before the layer.

        Empty where the layer takes no mask that the graph makes; None where the mask is not one of
        the input that the front begins with, and would be lost.
        """
        if layer.lengths.value.kind != "mask":
            return ""
        name = node.reads[0] if node.reads else ""
        maker = self._nodes.get(name) or self._built.network.by_name.get(name)
        compared = self._view.node(GraphTensor(name)) if name else None
        if maker is None or compared is None or not isinstance(maker.layer, Masking):
            return None
        if not any(peel(self._view, ref).node == source.name for ref in compared.inputs):
            return None
        self._nodes[name] = replace(maker, reads=(source.name,))
        return name

    def _attends_unrolled(self, node: Node) -> bool:
        """Whether an unrolled layer reads what its own output makes: it may return that, too."""
        before = self._nodes.get(node.reads[0]) if node.reads else None
        stand_in = None if before is None else before.layer
        unrolled = len(self._cells(node.name)) > 1
        return unrolled and isinstance(stand_in, Unsupported) and stand_in.of_own_output

    def _as_graph_cell(self, node: Node, layer: RecurrentLayer, verdict: Verdict) -> str:
        """Let the graph itself compute a layer; why not, in words, where it cannot."""
        record = self._proof.records[node.name]
        written = self._written(node, record)
        cells, steps = self._cells(node.name), self._proof.sizes.timesteps
        taken = len(cells) if len(cells) > 1 else record.steps
        if self._attends_unrolled(node):
            return "it reads its own last output"
        changes = len(cells) > 1 and "state" in verdict.kinds()
        if cells[0].unsure or (changes and (written is None or _is_state(written, record))):
            return "the graph does not tell which of its values a step returns"
        unclear = self._unclear_state(node, layer, verdict, record)
        if unclear:
            return unclear
        if taken != steps:
            return f"it takes {taken} steps where its input has {steps}"
        found = self._search.find(node.name, cells, record, layer, written)
        if isinstance(found, Obstacle):
            return found.words
        evaluated, source = found
        if "input" in verdict.kinds():
            layer = self._directions.aligned(layer, self._cells(node.name), source)
            evaluated = replace(evaluated, layer=layer)
        holds = held_past_lengths(self._proof, record)
        evaluated = replace(evaluated, zeros_past_length=holds and len(cells) > 1)
        behind = self._variables_behind(
            [*cells[0].after.values(), cells[0].x, *([] if written is None else [written])]
        )
        variables = tuple(dict.fromkeys((*layer.cell.variables, *behind)))
        self._used.update(variables)
        made = evaluated.as_cell(record, variables)
        start = InitialState(
            {state: OutsideState("placeholder", str(tensor))
             for state, tensor in evaluated.placeholders.items()},
            "" if evaluated.placeholders else "what the graph computes",
        )  # fmt: skip
        made = replace(made, initial_state=Option(start, "graph"), **_padding(holds=holds))
        self._nodes[node.name] = Node(node.name, made, (self._entry(source),))
        words = "; ".join(dict.fromkeys(_told(verdict)))
        self._notes.append(
            f"'{node.name}' is no stock cell ({words}): its states are what the graph computes, "
            "op by op."
        )
        self._note_assumed(node.name, evaluated)
        return ""

    def _unclear_state(
        self, node: Node, layer: RecurrentLayer, verdict: Verdict, record: CellRecord
    ) -> str:
        """Why it cannot be told what the states of a layer are that changes them; else empty."""
        sources = list(self._search.inputs())
        if "input" in verdict.kinds() and not self._directions.told(
            self._cells(node.name), sources
        ):
            return "which end of its input it begins at is not told"
        within = layer.backward.value and layer.reversal == "within length"
        if within and layer.lengths.value.kind in ("computed", "stored"):
            return "it is turned within lengths that the graph makes"
        if not verdict.kinds() & {"state", "start"}:
            return ""
        cells = self._cells(node.name)
        for state, before in cells[0].before.items():
            loop = self._proof.recorder.loops.around(cells[0].m)
            if loop is not None:
                plain = loop_variable(self._view, before) is not None
                if not plain and not self._is_carried(loop, cells[0], state, record):
                    return f"no variable of the loop is its {state}"
            elif not all(handed_over(self._view, cell.before[state]) for cell in cells[1:]):
                return f"where one step's {state} ends and the next one's begins is not told"
        return ""

    def _is_carried(self, loop: Loop, cell: FoundCell, state: str, record: CellRecord) -> bool:
        """Whether a variable of the loop is made of what the cell leaves of a state."""
        if state not in record.variables:
            return False
        after = cell.after[state]
        behind = self._proof.recorder.loops.reached(loop, cell.before[state])
        return any(reaches(self._view, loop.variables[one].update, after, ()) for one in behind)

    def _note_assumed(self, name: str, evaluated: EvaluatedLayer) -> None:
        """Say what the evaluation of a layer takes for granted."""
        if evaluated.assumed:
            self._notes.append(
                f"What the graph computes for '{name}' is evaluated with "
                f"{', '.join(evaluated.assumed)}."
            )

    def _entry(self, source: ModelInput) -> str:
        """Where the model's input goes in, for a graph cell."""
        self._inputs.setdefault(source.name)
        if not source.is_ids:
            return source.name
        name = f"{source.name}[numbers]"
        self._nodes.setdefault(name, Node(name, IdsAsFeatures(), (source.name,)))
        return name

    def _refuse(self, node: Node, layer: RecurrentLayer, verdict: Verdict, why: str) -> None:
        """A layer that neither agrees nor can be evaluated; behind a stand-in it has its words."""
        if verdict.kinds() <= {"input", "start", "outputs"} and self._is_obstructed(node):
            known = Evidence("by data flow", detail=why)
            self._nodes[node.name] = replace(node, layer=replace(layer, evidence=known))
            return
        words = "; ".join(dict.fromkeys(fault.words for fault in verdict.faults))
        apart = f" ({why})" if why else ""
        self._refuse_for(node, f"'{node.name}' {words}, which is not computed{apart}")

    def _refuse_for(self, node: Node, reason: str) -> None:
        self._note_refused(node.name, reason)
        self._nodes[node.name] = Node(
            node.name, Unsupported("graph ops", node.name, reason, recurrent=True), node.reads
        )

    def _note_refused(self, name: str, reason: str) -> None:
        self._refused.add(name)
        self._notes.append(f"Refused: {reason}.")

    def _written(self, node: Node, record: CellRecord) -> GraphTensor | None:
        """What holds the outputs of a layer that is evaluated; None where m is returned."""
        above = self._built.network.recurrent
        loop = self._proof.recorder.loops.around(self._cells(node.name)[0].m)
        for other in above:
            mine = self._built.network.recurrent_below(other)
            around = self._proof.recorder.loops.around(self._cells(other.name)[0].m)
            if node.name in mine and around is loop:
                return None
        return next(iter(record.written), None)

    def _cells(self, name: str) -> list[FoundCell]:
        return self._built.appearances[name].cells

    def _variables_behind(self, tensors: Iterable[GraphTensor]) -> list[str]:
        """The stored variables that some tensors are computed from, in the loops they lie in."""
        pending, seen, found = [*tensors], set[str](), dict[str, None]()
        while pending and len(seen) < 100_000:
            node = self._view.node(pending.pop())
            if node is None or node.name in seen:
                continue
            seen.add(node.name)
            if node.op in VARIABLES:
                found.update(dict.fromkeys(self._weights.variables(GraphTensor(node.name))))
            pending.extend(node.inputs)
            pending.extend(
                result for index in range(8)
                for result in self._view.results(GraphTensor(node.name, index))
            )  # fmt: skip
        return [name for name in found if name in self._weights.names]


def _plain_layer(unknown: UnknownLoop) -> RecurrentLayer:
    """What is known of a loop beside its states: no direction, lengths if it holds past them."""
    spec = CellSpec("graph", "loop of the graph", None, GraphOptions(), (), "")
    return RecurrentLayer(
        cell=spec,
        backward=Option(False, "graph"),
        **_padding(holds=unknown.holds),
        initial_state=Option(InitialState({}, "what the graph computes"), "graph"),
        state_format=Option("the loop's variables", "graph"),
    )


def _told(verdict: Verdict) -> list[str]:
    """The faults in words; a state that is changed on its way begins changed, too."""
    kinds = verdict.kinds()
    hidden = {"start"} if "state" in kinds else set[str]()
    return [fault.words for fault in verdict.faults if fault.kind not in hidden]


def _is_state(written: GraphTensor | None, record: CellRecord) -> bool:
    """Whether what an unrolled step seems to return is the state that the next one reads."""
    if written is None:
        return False
    return any(
        array.shape == record.written[written].shape
        and bool(np.any(np.all(array == record.written[written], axis=-1)))
        for array in record.carried.values()
    )


def _padding(*, holds: bool) -> dict[str, Any]:
    """The options of padding of a layer that holds its state past the lengths, or does not."""
    lengths = LENGTHS_UNUSED
    if holds:
        lengths = LengthsSource("input", "sequence_length from a placeholder")
    return {
        "padding": Option("zeros" if holds else "none", "graph"),
        "lengths": Option(lengths, "graph"),
    }
