"""A recurrence of a graph as it is run: what it reads, where its axes lie, and its states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.graph_cells.recurrence import Record, Recurrence
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError
from rnnscope.model.states import LayerStates


@dataclass(frozen=True, eq=False)
class GraphCell:
    """A recurrence, what it reads, and where its axes lie.

    Attributes
    ----------
    program : OnnxProgram
    recurrence : Recurrence
    x : str
        The value of the graph that it reads.
    time, batch : int
        The axes of timesteps and of sequences in x.
    axes : mapping of str to int
        The axis of sequences of each state, and of what is written (``""``).
    shapes : mapping of str to tuple of int
        Of each state as the graph has it.
    lengths : tuple of str
        The model's inputs of lengths.
    group : int or None
        How many sequences the graph takes at once; None if any number.
    """

    program: OnnxProgram
    recurrence: Recurrence
    x: str
    time: int
    batch: int
    axes: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    lengths: tuple[str, ...]
    group: int | None

    def laid(self, x: Array) -> Array:
        """X (sequence, timestep, input) as the graph has it."""
        made: Array = np.moveaxis(x, (0, 1), (self.batch, self.time))
        return made

    def in_order(self, value: Array) -> Array:
        """The value of the graph as (sequence, timestep, input)."""
        made: Array = np.moveaxis(value, (self.batch, self.time), (0, 1))
        return made

    def run(self, x: Array, lengths: Array | None, initial: Mapping[str, Array]) -> LayerStates:
        """See `GraphComputation.run`."""
        initial = {
            name: np.broadcast_to(value, (len(x), np.shape(value)[-1]))
            for name, value in initial.items()
            if name in self.shapes
        }
        if self.group is None or self.group == len(x):
            return self._states(x, lengths, initial)
        parts = []
        for at in range(0, len(x), self.group):
            rows = np.minimum(np.arange(at, at + self.group), len(x) - 1)
            own = {name: value[rows] for name, value in initial.items()}
            count = min(self.group, len(x) - at)
            made = self._states(x[rows], None if lengths is None else lengths[rows], own)
            parts.append(_first(made, count))
        return _joined(parts)

    def _states(self, x: Array, lengths: Array | None, initial: Mapping[str, Array]) -> LayerStates:
        forward = x[:, ::-1] if self.recurrence.backward else x
        bound: dict[str, Any] = {self.x: self.laid(forward)}
        for name in self.lengths:
            tensor = self.program.graph.inputs[name].type.tensor_type
            steps = np.full(len(x), x.shape[1]) if lengths is None else lengths
            bound[name] = np.asarray(steps, np.int32 if tensor.elem_type == 6 else np.int64)
        starts = {name: self._unflat(name, value) for name, value in initial.items()}
        try:
            record = self.recurrence.record(self.program, bound, starts)
        except EvaluationError as error:
            raise InputError(
                "The graph cannot compute this input.",
                where=self.recurrence.name,
                expected="an input that the model's own graph takes",
                found=f"{x.shape}: {error}",
                hint="the model may have been exported for one size of input alone",
            ) from error
        return self.as_states(record, x.shape[1])

    def as_states(self, record: Record, timesteps: int) -> LayerStates:
        """A record with its axes in the order (sequence, timestep, width)."""
        steps = len(next(iter(record.after.values())))
        if steps != timesteps:
            raise InputError(
                "The graph takes another number of steps than the input has.",
                where=self.recurrence.name,
                expected=f"{steps} timesteps",
                found=f"{timesteps} timesteps",
            )
        states = {
            name: np.stack([self._flat(name, one) for one in parts], axis=1)
            for name, parts in record.after.items()
        }
        initial = {name: self._flat(name, value) for name, value in record.before.items()}
        if record.written is None:
            outputs = states["m"]
        else:
            outputs = np.stack([self._flat("", one) for one in record.written], axis=1)
            states.setdefault("m", outputs)
            initial.setdefault("m", np.zeros_like(outputs[:, 0]))
        return LayerStates(
            states=states,
            outputs=outputs,
            initial=initial,
            final={name: np.ascontiguousarray(array[:, -1]) for name, array in states.items()},
        )

    def _flat(self, name: str, value: Array) -> Array:
        moved = np.moveaxis(np.asarray(value), self.axes[name], 0)
        return np.ascontiguousarray(moved.reshape(len(moved), -1))

    def _unflat(self, name: str, value: Array) -> Array:
        axis, shape = self.axes[name], list(self.shapes[name])
        rest = shape[:axis] + shape[axis + 1 :]
        return np.moveaxis(value.reshape(len(value), *rest), 0, axis)


def _first(states: LayerStates, count: int) -> LayerStates:
    def cut(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {name: array[:count] for name, array in arrays.items()}

    return LayerStates(
        cut(states.states), states.outputs[:count], cut(states.initial), cut(states.final)
    )


def _joined(parts: list[LayerStates]) -> LayerStates:
    def join(arrays: list[Mapping[str, Array]]) -> dict[str, Array]:
        return {name: np.concatenate([one[name] for one in arrays]) for name in arrays[0]}

    return LayerStates(
        join([part.states for part in parts]),
        np.concatenate([part.outputs for part in parts]),
        join([part.initial for part in parts]),
        join([part.final for part in parts]),
    )
