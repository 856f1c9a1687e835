"""Which of a model's inputs a layer can be evaluated from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord, Obstacle
from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.settling.graph_layers import EvaluatedLayer
from rnnscope.checkpoints.tf1.graph.evaluation.settling.graph_run import (
    GivenStates,
    GraphRun,
    ModelInput,
)
from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.model.cell import Array
from rnnscope.model.initial_state import OutsideState, StatePart
from rnnscope.model.recurrent_layer import RecurrentLayer


class InputSearch:
    """Tries the model's inputs, one after another, until one alone gives what the proof recorded.

    Parameters
    ----------
    proof : Proof
    recorder : Recorder
        That of runs, which looks at every step.
    """

    def __init__(self, proof: Proof, recorder: Recorder) -> None:
        self._proof = proof
        self._full = recorder
        self._of_lengths: dict[GraphTensor, ModelInput | None] = {}

    def find(
        self,
        name: str,
        cells: list[FoundCell],
        record: CellRecord,
        layer: RecurrentLayer,
        written: GraphTensor | None,
    ) -> tuple[EvaluatedLayer, ModelInput] | Obstacle:
        """A layer as the graph computes it from one of the inputs; why not, if from none."""
        placeholders = _placeholders(layer)
        obstacle = Obstacle("it is computed from no single input of the model")
        for source in self.inputs(frozenset(placeholders.values())):
            trial = GraphRun(self._proof.recorder, source, {name: cells})
            made = self._tried(trial, source, name)
            if isinstance(made, Obstacle):
                obstacle = made
            elif not _is_that(made, record):
                continue
            elif self._mixes(trial, source, name, made):
                obstacle = Obstacle("its sequences depend on each other", refuses=True)
            else:
                run = GraphRun(self._full, source, {name: cells})
                assumed = tuple(self._assumed(trial, source, name, made))
                found = EvaluatedLayer(run, name, layer, written, placeholders, assumed=assumed)
                return found, source
        return obstacle

    def of_lengths(self, tensor: GraphTensor) -> ModelInput | None:
        """The one input that the graph computes lengths from, each sequence's from its own."""
        if tensor not in self._of_lengths:
            self._of_lengths[tensor] = self._find_lengths(tensor)
        return self._of_lengths[tensor]

    def _find_lengths(self, tensor: GraphTensor) -> ModelInput | None:
        wanted = self._proof.recorder.try_value(self._evaluator(self._proof.given), tensor)
        for source in self.inputs():
            x = self._by_sequence(source)
            made = self._lengths(source, tensor, x)
            if made is None or not same(made, wanted):
                continue
            other = self._lengths(source, tensor, _first_changed(source, x))
            if other is not None and same(made[1:], other[1:]):
                return source
        return None

    def _lengths(self, source: ModelInput, tensor: GraphTensor, x: Array) -> Array | None:
        """What comes of one input alone, and of what tells no more than sizes."""
        values = source.values(x, None, {})
        for one in source.others:
            if one.is_lengths and not one.has_default:
                del values[one.tensor]
        made = self._proof.recorder.try_value(self._evaluator(values), tensor)
        return None if isinstance(made, Obstacle) else np.asarray(made)

    def _evaluator(self, values: Mapping[GraphTensor, Any]) -> GraphEvaluator:
        return self._proof.recorder.evaluator((), values)

    def inputs(self, states: frozenset[GraphTensor] = frozenset()) -> Iterator[ModelInput]:
        """What layers may be computed from: features first, then ids, then anything else.

        `states` are placeholders that take initial states.
        """
        fed = [one for one in self._proof.fed if one.is_sequence and one.tensor not in states]
        for one in sorted(fed, key=lambda one: (one.has_default, one.counts)):
            others = tuple(other for other in self._proof.fed if other is not one)
            yield ModelInput(one, self._proof.sizes, others, states)

    def _mixes(self, trial: GraphRun, source: ModelInput, name: str, made: CellRecord) -> bool:
        """Whether a sequence changes with another: a batch's own statistics, above all.

        What such a graph gives depends on which sequences a run happens to put together.
        """
        if made.x.shape[1] < 2:
            return False
        x = _first_changed(source, self._by_sequence(source))
        other = self._tried(trial, source, name, x)
        if isinstance(other, Obstacle):
            return True
        steps = min(made.steps, other.steps)
        pairs = [(made.x, other.x), *((a, other.states[s]) for s, a in made.states.items()),
                 *((a, other.written[t]) for t, a in made.written.items())]  # fmt: skip
        if not all(same(one[:steps, 1:], two[:steps, 1:]) for one, two in pairs):
            return True
        # A loop ends with the longest sequence; the others must have come to their end before.
        return not (_ended(made, steps) and _ended(other, steps))

    def _assumed(
        self, trial: GraphRun, source: ModelInput, name: str, made: CellRecord
    ) -> Iterator[str]:
        """What a run takes for granted: fed switches and counts whose other values matter."""
        for one in source.others:
            value = self._proof.given.get(one.tensor)
            if one.shape != () or one.has_default or value is None or one.dtype.kind == "f":
                continue
            switch = one.dtype.kind == "b"
            changed = {one.tensor: ~value if switch else value + 1}
            other = self._tried(trial, source, name, changed=changed)
            if isinstance(other, Obstacle) or not _is_that(other, made):
                yield f"'{one.tensor}' as {'false' if switch else 'the number of sequences'}"

    def _by_sequence(self, source: ModelInput) -> Array:
        x = np.asarray(self._proof.given[source.fed.tensor])
        return x.swapaxes(0, 1) if self._proof.sizes.time_major else x

    def _tried(
        self,
        trial: GraphRun,
        source: ModelInput,
        name: str,
        x: Array | None = None,
        changed: GivenStates | None = None,
    ) -> CellRecord | Obstacle:
        """What one input gives, with what a run has beside it: lengths, states, switches."""
        given = self._proof.given
        by_sequence = self._by_sequence(source) if x is None else x
        values: dict[GraphTensor, Any] = source.values(by_sequence, None, {})
        for one in source.others:
            number = one.shape == () and one.dtype.kind == "f"  # which a run has no value for
            known = one.is_lengths or one.has_default or one.tensor in source.states
            if one.tensor in given and (known or (not one.shape and not number)):
                values[one.tensor] = given[one.tensor]
        values |= changed or {}
        evaluator = trial.recorder.evaluator(trial.cells.values(), values)
        return trial.recorder.attempt(evaluator, trial.cells[name])


def _is_that(made: CellRecord, wanted: CellRecord) -> bool:
    return same(made.x, wanted.x) and all(
        same(array, wanted.carried[state]) for state, array in made.carried.items()
    )


def _ended(record: CellRecord, steps: int) -> bool:
    """Whether after so many steps all sequences but the first hold their states and write zeros."""
    if record.steps == steps:
        return True
    held = (same(array[steps:, 1:], np.broadcast_to(array[steps - 1, 1:], array[steps:, 1:].shape))
            for array in record.states.values())  # fmt: skip
    return all(held) and not any(np.any(one[steps:, 1:]) for one in record.written.values())


def _first_changed(source: ModelInput, x: Array) -> Array:
    """Values (sequence, timestep, …), the first sequence others than before."""
    changed: Array = x.copy()
    changed[0] = x[-1] if source.fed.counts else x[0] + 1
    return changed


def same(one: Array, other: Array) -> bool:
    """Whether two arrays are equal to the bit, NaNs too."""
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))


def _placeholders(layer: RecurrentLayer) -> dict[str, GraphTensor]:
    """The placeholders that take a layer's initial state, each for one state."""
    found: dict[str, GraphTensor] = {}
    part: StatePart
    for state, part in layer.initial_state.value.parts.items():
        if isinstance(part, OutsideState) and part.kind == "placeholder":
            found[state] = GraphTensor(part.name)
    return found if len({*found.values()}) == len(found) else {}
