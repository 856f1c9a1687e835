"""What becomes of each layer once the graph itself was asked: proved, evaluated, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.directions import Directions
from rnnscope.checkpoints.tf1.graph.evaluation.graph_layers import EvaluatedLayer
from rnnscope.checkpoints.tf1.graph.evaluation.graph_run import GraphRun, ModelInput
from rnnscope.checkpoints.tf1.graph.evaluation.judge import Verdict
from rnnscope.checkpoints.tf1.graph.evaluation.loops import Loop
from rnnscope.checkpoints.tf1.graph.evaluation.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.recording import CellRecord, Obstacle, Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.unknown_loops import (
    UnknownLoop,
    common_scope,
    held_past_lengths,
    unknown_loops,
)
from rnnscope.checkpoints.tf1.graph.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.network import GraphNetwork
from rnnscope.checkpoints.tf1.graph.state_parts import loop_variable
from rnnscope.checkpoints.tf1.graph.unrolled import handed_over, reaches
from rnnscope.checkpoints.tf1.graph.weights import VARIABLES, GraphWeights
from rnnscope.model.cell import Array, CellSpec, Option
from rnnscope.model.cells.graph_cell import GraphOptions
from rnnscope.model.evidence import Evidence
from rnnscope.model.initial_state import (
    FinalState,
    InitialState,
    OutsideState,
    StatePart,
    UncomputedState,
)
from rnnscope.model.layers import IdsAsFeatures, Unsupported
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
        self._obstacle = ""
        self._refused: set[str] = set()
        self._full = Recorder(view, weights, proof.recorder.loops)
        self._directions = Directions(view, proof, self._full)

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
        found = self._from_input(name, [unknown.cell], unknown.record, layer, unknown.written)
        if found is None:
            self._add_refused(name, f"its states are no stock cell's, and {self._obstacle}")
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
        elif "turn" in verdict.kinds() or not self._as_graph_cell(node, layer, verdict):
            if verdict.kinds() <= {"input", "start", "outputs"} and self._is_obstructed(node):
                known = Evidence("by data flow", detail=self._obstacle)
                self._nodes[node.name] = replace(node, layer=replace(layer, evidence=known))
                return
            self._refuse(node, verdict)

    def _is_obstructed(self, node: Node) -> bool:
        """Whether the layer reads a stand-in, which says why it cannot be run."""
        before = self._nodes.get(node.reads[0]) if node.reads else None
        return before is not None and isinstance(before.layer, Unsupported)

    def _front(self, node: Node, layer: RecurrentLayer, verdict: Verdict) -> bool:
        """Put what the graph computes in front of a proved cell, if it can be evaluated."""
        if self._attends_unrolled(node):
            return False
        found = self._evaluated(node, layer, None)
        if found is None:
            return False
        evaluated, source = found
        layer = self._directions.aligned(layer, self._cells(node.name), source)
        evaluated = replace(evaluated, layer=layer)
        name = node.reads[0] if node.reads else ""
        if not name or name in self._built.network.by_name or name == source.name:
            name = f"{node.name}[x]"
        front = evaluated.as_front(name)
        self._inputs.setdefault(source.name)
        self._nodes[name] = Node(name, front, (source.name,))
        proved = replace(layer, evidence=verdict.evidence)
        self._nodes[node.name] = replace(node, layer=proved, reads=(name,))
        self._used.update(self._variables_behind([self._cells(node.name)[0].x]))
        return True

    def _attends_unrolled(self, node: Node) -> bool:
        """Whether an unrolled layer reads what its own output makes: it may return that, too."""
        before = self._nodes.get(node.reads[0]) if node.reads else None
        stand_in = None if before is None else before.layer
        unrolled = len(self._cells(node.name)) > 1
        return unrolled and isinstance(stand_in, Unsupported) and stand_in.of_own_output

    def _as_graph_cell(self, node: Node, layer: RecurrentLayer, verdict: Verdict) -> bool:
        record = self._proof.records[node.name]
        written = self._written(node, record)
        cells, steps = self._cells(node.name), self._proof.sizes.timesteps
        taken = len(cells) if len(cells) > 1 else record.steps
        if self._attends_unrolled(node):
            self._obstacle = "it reads its own last output"
            return False
        changes = len(cells) > 1 and "state" in verdict.kinds()
        if cells[0].unsure or (changes and (written is None or _is_state(written, record))):
            self._obstacle = "the graph does not tell which of its values a step returns"
            return False
        obstacle = self._unclear_state(node, layer, verdict, record)
        if obstacle:
            self._obstacle = obstacle
            return False
        if taken != steps:
            self._obstacle = f"it takes {taken} steps where its input has {steps}"
            return False
        found = self._evaluated(node, layer, written)
        if found is None:
            return False
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
        return True

    def _unclear_state(
        self, node: Node, layer: RecurrentLayer, verdict: Verdict, record: CellRecord
    ) -> str:
        """Why it cannot be told what the states of a layer are that changes them; else empty."""
        sources = list(self._sources(frozenset()))
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

    def _entry(self, source: ModelInput) -> str:
        """Where the model's input goes in, for a graph cell."""
        self._inputs.setdefault(source.name)
        if not source.is_ids:
            return source.name
        name = f"{source.name}[numbers]"
        self._nodes.setdefault(name, Node(name, IdsAsFeatures(), (source.name,)))
        return name

    def _refuse(self, node: Node, verdict: Verdict) -> None:
        words = "; ".join(dict.fromkeys(fault.words for fault in verdict.faults))
        why = f" ({self._obstacle})" if self._obstacle else ""
        self._refuse_for(node, f"'{node.name}' {words}, which is not computed{why}")

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

    def _evaluated(
        self, node: Node, layer: RecurrentLayer, written: GraphTensor | None
    ) -> tuple[EvaluatedLayer, ModelInput] | None:
        """A layer as the graph computes it from one of the model's inputs; None if from none."""
        cells, record = self._cells(node.name), self._proof.records[node.name]
        return self._from_input(node.name, cells, record, layer, written)

    def _from_input(
        self,
        name: str,
        cells: list[FoundCell],
        record: CellRecord,
        layer: RecurrentLayer,
        written: GraphTensor | None,
    ) -> tuple[EvaluatedLayer, ModelInput] | None:
        for source in self._model_inputs(layer):
            trial = GraphRun(self._proof.recorder, source, {name: cells})
            if self._same_as_proof(trial, source, name, record):
                run = GraphRun(self._full, source, {name: cells})
                return EvaluatedLayer(run, name, layer, written, _placeholders(layer)), source
        return None

    def _model_inputs(self, layer: RecurrentLayer) -> Iterator[ModelInput]:
        """What the layer may be computed from: features first, then ids, then anything else."""
        return self._sources(frozenset(_placeholders(layer).values()))

    def _sources(self, states: frozenset[GraphTensor]) -> Iterator[ModelInput]:
        fed = [one for one in self._proof.fed if one.is_sequence and one.tensor not in states]
        ranked = sorted(fed, key=lambda one: (one.has_default, one.dtype.kind != "f"))
        for one in ranked:
            others = tuple(other for other in self._proof.fed if other is not one)
            yield ModelInput(one, self._proof.sizes, others, states)

    def _same_as_proof(
        self, trial: GraphRun, source: ModelInput, name: str, wanted: CellRecord
    ) -> bool:
        """Whether this input alone gives what all random inputs together gave."""
        given = dict(self._proof.given)
        x = np.asarray(given[source.fed.tensor])
        by_sequence = x.swapaxes(0, 1) if self._proof.sizes.time_major else x
        values: dict[GraphTensor, Any] = source.values(by_sequence, None, {})
        for one in source.others:
            if one.tensor not in given:
                continue
            number = one.shape == () and one.dtype.kind == "f"  # which a run has no value for
            if (
                one.is_lengths
                or one.has_default
                or one.tensor in source.states
                or (not one.shape and not number)
            ):
                values[one.tensor] = given[one.tensor]
        evaluator = trial.recorder.evaluator(trial.cells.values(), values)
        made = trial.recorder.attempt(evaluator, trial.cells[name])
        if isinstance(made, Obstacle):
            self._obstacle = made.words
            return False
        return _same(made.x, wanted.x) and all(
            _same(array, wanted.carried[state]) for state, array in made.carried.items()
        )

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


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))


def _placeholders(layer: RecurrentLayer) -> dict[str, GraphTensor]:
    """The placeholders that take a layer's initial state, each for one state."""
    found: dict[str, GraphTensor] = {}
    part: StatePart
    for state, part in layer.initial_state.value.parts.items():
        if isinstance(part, OutsideState) and part.kind == "placeholder":
            found[state] = GraphTensor(part.name)
    return found if len({*found.values()}) == len(found) else {}
