"""Recurrent computations of a graph as layers of the network: graph cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation import OnnxProgram
from rnnscope.checkpoints.onnx.graph_cells.recurrence import Record, Recurrence
from rnnscope.checkpoints.onnx.graph_cells.unrolled import UnrolledRecurrence
from rnnscope.checkpoints.onnx.operator_proof import difference
from rnnscope.checkpoints.onnx.pieces import TOLERANCE
from rnnscope.checkpoints.onnx.trial import MAX_WORK, ModelInputs, Trial
from rnnscope.checkpoints.onnx.work import Work
from rnnscope.errors import InputError
from rnnscope.model.cell import Array, CellSpec, Option
from rnnscope.model.cells.graph_cell import GraphComputation, GraphOptions
from rnnscope.model.evidence import EVALUATED
from rnnscope.model.initial_state import ZERO_STATE, InitialState
from rnnscope.model.lengths_source import LENGTHS_UNUSED, LengthsSource
from rnnscope.model.ops import EvaluationError
from rnnscope.model.recurrent_layer import RecurrentLayer
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


def graph_cell(
    program: OnnxProgram, inputs: ModelInputs, trial: Trial, recurrence: Recurrence
) -> GraphCell:
    """The first value that a recurrence can be computed from, and where axes lie.

    Raises
    ------
    EvaluationError
        There is none, or sequences depend on each other.
    """
    failure = EvaluationError("it reads nothing that has timesteps")
    for key, backward in _ways(program, inputs, recurrence):
        try:
            return _of(program, inputs, trial, recurrence.read(backward=backward), key)
        except EvaluationError as error:  # noqa: PERF203 - the next candidate is tried
            failure = error
    raise failure


def _ways(
    program: OnnxProgram, inputs: ModelInputs, recurrence: Recurrence
) -> Iterator[tuple[str, bool]]:
    """Candidates, and whether each is read from its end: what is turned round, before it is."""
    every = dict.fromkeys(recurrence.candidates)
    for key in every:
        source = _before_turning(program, key)
        if source:
            yield source, not recurrence.backward
        yield key, recurrence.backward
    for key in every:
        if key in inputs.graph.inputs:
            yield key, not recurrence.backward


def _before_turning(program: OnnxProgram, key: str) -> str:
    """The value that another one is, with one axis turned round; empty if it is none."""
    graph = program.graph
    node = graph.producers.get(graph.behind(key, ("Identity",)))
    if node is None or node.op != "Slice":
        return ""
    stated = [node.ints(name) for name in ("steps", "starts")]
    for place, number in enumerate((4, 1)):
        if stated[place] is None and node.input(number) in program.stored:
            held = program.stored.array(node.input(number))
            stated[place] = None if held is None else tuple(int(one) for one in held.ravel())
    return node.input(0) if stated == [(-1,), (-1,)] else ""


def _of(
    program: OnnxProgram, inputs: ModelInputs, trial: Trial, recurrence: Recurrence, key: str
) -> GraphCell:
    x = np.asarray(trial.value(key))
    if x.ndim != 3 or x.dtype.kind != "f":
        raise EvaluationError(f"'{key}' has no timesteps of features")
    lengths = tuple(sorted(inputs.lengths))
    bound = {key: x, **{name: trial.bound[name] for name in lengths}}
    record = recurrence.record(program, bound, {}, Work(MAX_WORK))
    steps = len(next(iter(record.after.values())))
    for time in (axis for axis, size in enumerate(x.shape) if size == steps):
        for batch in (axis for axis in range(3) if axis != time):
            axes = _batch_axes(program, recurrence, bound, key, record, batch)
            if axes is not None and _in_time(program, recurrence, bound, key, record, time):
                _require_start(program, recurrence, key, x, time)
                shapes = {name: np.shape(parts[0]) for name, parts in record.after.items()}
                group = x.shape[batch] if _is_static(inputs) else None
                return GraphCell(
                    program, recurrence, key, time, batch, axes, shapes, lengths, group
                )
    raise EvaluationError(f"no axes of '{key}' are those of sequences and timesteps")


def _require_start(
    program: OnnxProgram, recurrence: Recurrence, key: str, x: Array, time: int
) -> None:
    """Refuse a first step that is written in another way, unless it begins with zeros."""
    if not isinstance(recurrence, UnrolledRecurrence) or recurrence.first:
        return
    if not recurrence.starts_from_zeros(program, key, x, time):
        raise EvaluationError("its first step is unlike the others")


def _is_static(inputs: ModelInputs) -> bool:
    """Whether the model is for one number of sequences alone."""
    return inputs.static_batch() is not None or not any(
        isinstance(dim, str) for name in inputs.graph.inputs for dim in inputs.dims(name) or [""]
    )


def _values(record: Record) -> dict[str, list[Array]]:
    found = {name: [np.asarray(one) for one in parts] for name, parts in record.after.items()}
    if record.written is not None:
        found[""] = [np.asarray(one) for one in record.written]
    return found


def _batch_axes(
    program: OnnxProgram,
    recurrence: Recurrence,
    bound: Mapping[str, Any],
    key: str,
    record: Record,
    batch: int,
) -> dict[str, int] | None:
    """The axis of sequences of each state; None if one has none, or they depend on each other."""
    x = np.asarray(bound[key])
    altered = np.array(x)
    altered[(slice(None),) * batch + (0,)] += 0.75
    try:
        other = _values(recurrence.record(program, {**bound, key: altered}, {}, Work(MAX_WORK)))
    except EvaluationError:
        return None
    found = {}
    for name, parts in _values(record).items():
        before, after = np.stack(parts), np.stack(other[name])
        changed = np.abs(before - after) > TOLERANCE * max(
            1.0, float(np.abs(before).max(initial=0))
        )
        axes = [
            axis for axis, size in enumerate(parts[0].shape)
            if size == x.shape[batch] and _first_alone(changed, axis + 1)
        ]  # fmt: skip
        if not axes:
            return None
        found[name] = axes[0]
    return found


def _first_alone(changed: Array, axis: int) -> bool:
    moved = np.moveaxis(changed, axis, 0)
    return bool(moved[0].any()) and not moved[1:].any()


def _in_time(
    program: OnnxProgram,
    recurrence: Recurrence,
    bound: Mapping[str, Any],
    key: str,
    record: Record,
    time: int,
) -> bool:
    """Whether the last timestep of x changes the last step alone."""
    altered = np.array(bound[key])
    last = 0 if recurrence.backward else -1
    altered[(slice(None),) * time + (last,)] += 0.75
    try:
        other = _values(recurrence.record(program, {**bound, key: altered}, {}, Work(MAX_WORK)))
    except EvaluationError:
        return False
    before = _values(record)
    return all(
        difference(np.stack(parts[:-1]), np.stack(before[name][:-1])) <= TOLERANCE
        for name, parts in other.items() if len(parts) > 1
    ) and any(
        difference(other[name][-1], parts[-1]) > TOLERANCE for name, parts in before.items()
    )  # fmt: skip


def as_layer(cell: GraphCell, trial: Trial) -> RecurrentLayer:
    """A graph cell as a recurrent layer."""
    x = cell.in_order(np.asarray(trial.value(cell.x)))
    lengths = None
    if cell.lengths:
        lengths = np.asarray(trial.bound[cell.lengths[0]], np.int64).ravel()
    turned = x[:, ::-1] if cell.recurrence.backward else x
    shown = cell.run(turned, lengths, {})
    dtype = shown.outputs.dtype
    computation = GraphComputation(
        input_size=x.shape[-1],
        output_size=shown.outputs.shape[-1],
        widths={name: array.shape[-1] for name, array in shown.states.items()},
        dtype=dtype,
        run=cell.run,
        takes_lengths=bool(cell.lengths),
    )
    spec = CellSpec(
        kind="graph",
        source_class=cell.program.graph.title(cell.recurrence.op),
        weights=computation,
        options=GraphOptions(),
        variables=cell.recurrence.stored_names(cell.program.graph),
        stored_gate_order="",
    )
    source = LENGTHS_UNUSED
    if cell.lengths:
        words = f"sequence_length from placeholder '{cell.lengths[0]}' (graph input)"
        source = LengthsSource("input", words, input=cell.lengths[0])
    return RecurrentLayer(
        cell=spec,
        backward=Option(cell.recurrence.backward, "graph"),
        padding=Option("zeros" if cell.lengths else "none", "graph", "as the graph computes"),
        lengths=Option(source, "graph"),
        initial_state=Option(_start(shown), "graph"),
        state_format=Option("carried values", "graph"),
        evidence=EVALUATED,
    )


def _start(shown: LayerStates) -> InitialState:
    """The states that the graph starts from are its own: of constants, or of what it reads."""
    is_zero = not any(value.any() for value in shown.initial.values())
    return ZERO_STATE if is_zero else InitialState({}, "what the graph computes")
