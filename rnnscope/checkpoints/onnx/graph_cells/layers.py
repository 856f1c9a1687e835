"""Recurrent computations of a graph as layers of the network: graph cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.trial import MAX_WORK, ModelInputs, Trial
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph_cells.found_cell import GraphCell
from rnnscope.checkpoints.onnx.graph_cells.recurrence import Record, Recurrence
from rnnscope.checkpoints.onnx.graph_cells.unrolled import UnrolledRecurrence
from rnnscope.checkpoints.onnx.network.pieces import TOLERANCE
from rnnscope.checkpoints.onnx.proof.operator import difference
from rnnscope.model.cell import Array, CellSpec, Option
from rnnscope.model.cells.graph_cell import GraphComputation, GraphOptions
from rnnscope.model.evidence import EVALUATED
from rnnscope.model.initial_state import ZERO_STATE, InitialState
from rnnscope.model.lengths_source import LENGTHS_UNUSED, LengthsSource
from rnnscope.model.ops import EvaluationError
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates


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
