"""What a graph computes for its layers, step by step, from values that it is fed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.cells.block_ops import OPS as BLOCK_OPS
from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import (
    CellRecord,
    Obstacle,
    StepsError,
)
from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import Loop, Loops
from rnnscope.checkpoints.tf1.graph.layers.state_parts import loop_variable
from rnnscope.checkpoints.tf1.graph.layers.unrolled import copied_through, handed_on_like
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import WRITES
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError, MissingInputError, RandomNumbersError


class Recorder:
    """Evaluates a graph and keeps what its layers read and leave.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    loops : Loops
    most_unrolled : int
        Steps of an unrolled layer that are looked at; a loop is always run to its end.
    most_ops : int
        As of `GraphEvaluator`.
    """

    def __init__(
        self,
        view: GraphView,
        weights: GraphWeights,
        loops: Loops,
        *,
        most_unrolled: int | None = None,
        most_ops: int = 50_000_000,
    ) -> None:
        self._view = view
        self._weights = weights
        self.loops = loops
        self._most_unrolled = most_unrolled
        self._most_ops = most_ops
        self._writes: dict[str, list[GraphTensor]] | None = None

    def evaluator(
        self, layers: Iterable[list[FoundCell]], given: Mapping[GraphTensor, Any]
    ) -> GraphEvaluator:
        """An evaluator that watches what `record` needs."""
        watched = {
            tensor
            for cells in layers
            for cell in self.looked_at(cells)
            for tensor in self._watched(cell)
        }
        return GraphEvaluator(self._view, self._weights, self.loops, given, watched, self._most_ops)

    def looked_at(self, cells: list[FoundCell]) -> list[FoundCell]:
        """The steps of a layer that are looked at."""
        return cells if self._most_unrolled is None else cells[: self._most_unrolled]

    def _watched(self, cell: FoundCell) -> Iterator[GraphTensor]:
        yield cell.x
        yield from cell.before.values()
        yield from cell.after.values()
        loop = self.loops.around(cell.m)
        if loop is not None:
            yield from self.writes(loop)
            for behind in self._changed(loop, cell).values():
                yield from behind

    def _changed(self, loop: Loop, cell: FoundCell) -> dict[str, frozenset[GraphTensor]]:
        """The loop's variables behind states that the cell reads changed."""
        found = {}
        for state, before in cell.before.items():
            if loop_variable(self._view, before) is not None:
                continue
            found[state] = self.loops.reached(loop, before)
        return found

    def writes(self, loop: Loop) -> list[GraphTensor]:
        """What the steps of a loop put into lists."""
        if self._writes is None:
            self._writes = {}
            for node in self._view:
                if node.op in WRITES:
                    written = node.inputs[WRITES[node.op]]
                    around = self.loops.around(written)
                    if around is not None:
                        self._writes.setdefault(around.name, []).append(written)
        return self._writes.get(loop.name, [])

    def record(self, evaluator: GraphEvaluator, cells: list[FoundCell]) -> CellRecord:
        """What the graph computes for one layer.

        Raises
        ------
        EvaluationError
            Naming what cannot be computed.
        """
        looked_at = self.looked_at(cells)
        parts = [self._of_cell(evaluator, cell) for cell in looked_at]
        if len(parts) == 1:
            return parts[0]
        if len({part.x.shape[1:] for part in parts}) > 1:
            raise StepsError("its steps read inputs of several widths")
        return _joined(parts, self._left_by(evaluator, cells, looked_at[-1]))

    def _left_by(
        self, evaluator: GraphEvaluator, cells: list[FoundCell], last: FoundCell
    ) -> dict[str, Array]:
        """The state after a step of an unrolled layer, as the next one reads it or would."""
        place = cells.index(last) + 1
        if place < len(cells):
            return {state: _one_step(evaluator, one) for state, one in cells[place].before.items()}
        return {
            state: _one_step(evaluator, self._final(cells, last, state)) for state in last.before
        }

    def _final(self, cells: list[FoundCell], last: FoundCell, state: str) -> GraphTensor:
        """What is left of a state behind the last step of all."""
        earlier, later = cells[-2].after[state], last.before[state]
        found = handed_on_like(self._view, earlier, later, last.after[state])
        return found or copied_through(self._view, last.after[state])

    def attempt(self, evaluator: GraphEvaluator, cells: list[FoundCell]) -> CellRecord | Obstacle:
        """As `record`; the reason where it cannot be computed."""
        try:
            with np.errstate(all="ignore"):
                return self.record(evaluator, cells)
        except EvaluationError as error:
            refuses = isinstance(error, (RandomNumbersError, StepsError))
            lacks = error.name if isinstance(error, MissingInputError) else ""
            return Obstacle(str(error), refuses=refuses, lacks=lacks)
        except (ValueError, IndexError) as error:
            return Obstacle(f"its steps do not fit each other: {error}", refuses=True)

    def try_value(self, evaluator: GraphEvaluator, tensor: GraphTensor) -> Any:
        """The value of a tensor outside of loops; an `Obstacle` where there is none."""
        try:
            return evaluator.value(tensor)
        except EvaluationError as error:
            return Obstacle(str(error))

    def _of_cell(self, evaluator: GraphEvaluator, cell: FoundCell) -> CellRecord:
        if takes_sequences(cell):
            return self._of_fused(evaluator, cell)
        loop = self.loops.around(cell.m)
        if loop is None:
            x, before, after = (
                _one_step(evaluator, cell.x),
                {name: _one_step(evaluator, one) for name, one in cell.before.items()},
                {name: _one_step(evaluator, one) for name, one in cell.after.items()},
            )
            written = {}
            if cell.outputs is not None:
                written[cell.outputs] = _one_step(evaluator, cell.outputs)
            return CellRecord(x, before, after, dict(after), written)
        if cell.x not in evaluator.recorded:
            evaluator.run_loop(loop)
        taken = evaluator.recorded
        before = {name: _stacked(taken, one) for name, one in cell.before.items()}
        after = {name: _stacked(taken, one) for name, one in cell.after.items()}
        carried = {
            name: np.concatenate(
                [before[name][1:], self._last(evaluator, loop, one, before[name], after.get(name))]
            )
            for name, one in cell.before.items()
        }
        written = {
            tensor: np.stack(taken[tensor])
            for tensor in self.writes(loop)
            if taken.get(tensor) and np.ndim(taken[tensor][0]) >= 2
        }
        variables = {}
        for name, behind in self._changed(loop, cell).items():
            # Counters have another shape; a variable that packs several states, too.
            fitting = [one for one in behind if np.shape(taken[one][0]) == before[name].shape[1:]]
            if len(fitting) == 1:
                values = _stacked(taken, fitting[0])
                last = self._last(evaluator, loop, fitting[0], values)
                variables[name] = np.concatenate([values[1:], last])
        return CellRecord(_stacked(taken, cell.x), before, after, carried, written, variables)

    def _last(
        self,
        evaluator: GraphEvaluator,
        loop: Loop,
        before: GraphTensor,
        read: Array,
        after: Array | None = None,
    ) -> Array:
        """What a state would be read as in the step after the last.

        Where that would need the x of this step, the state as the last step left it.
        """
        try:
            last = evaluator.after_loop(loop, before)
        except EvaluationError:
            if after is None or after.shape != read.shape:
                raise
            last = after[-1]
        return np.asarray(last).reshape(1, *read.shape[1:])

    def _of_fused(self, evaluator: GraphEvaluator, cell: FoundCell) -> CellRecord:
        x = np.asarray(evaluator.value(cell.x))
        after = {name: np.asarray(evaluator.value(one)) for name, one in cell.after.items()}
        first = {name: np.asarray(evaluator.value(one)) for name, one in cell.before.items()}
        before = {
            name: np.concatenate([first[name][None], after[name][:-1]]) for name in cell.before
        }
        written = {}
        if cell.outputs is not None:
            written[cell.outputs] = np.asarray(evaluator.value(cell.outputs))
        counts = None
        if cell.mask is not None:
            counts = np.asarray(evaluator.value(cell.mask)).reshape(*x.shape[:2], -1)[..., 0] != 0
        return CellRecord(x, before, after, dict(after), written, counts=counts)


def takes_sequences(cell: FoundCell) -> bool:
    """Whether a fused op takes a whole sequence."""
    return cell.op in BLOCK_OPS and BLOCK_OPS[cell.op].sequence


def _one_step(evaluator: GraphEvaluator, tensor: GraphTensor) -> Array:
    return np.asarray(evaluator.value(tensor))[None]


def _stacked(taken: Mapping[GraphTensor, list[Any]], tensor: GraphTensor) -> Array:
    values = taken.get(tensor)
    if not values:
        raise EvaluationError("a loop takes no step on random input")
    return np.stack(values)


def _joined(parts: list[CellRecord], last: dict[str, Array]) -> CellRecord:
    """Steps that are written out one after another; `last` is the state after them."""

    def over(name: str) -> dict[str, Array]:
        every = [getattr(part, name) for part in parts]
        return {state: np.concatenate([one[state] for one in every]) for state in every[0]}

    before = over("before")
    after = over("after")
    carried = {state: np.concatenate([array[1:], last[state]]) for state, array in before.items()}
    written = {
        tensor: np.concatenate([next(iter(part.written.values())) for part in parts])
        for tensor in parts[0].written
        if all(part.written for part in parts)
    }
    x = np.concatenate([part.x for part in parts])
    return CellRecord(x, before, after, carried, written)
