"""Pooling a trace slice by slice: memory does not grow with the number of sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from itertools import groupby

import numpy as np

from rnnscope.checks.interface import StatePlace
from rnnscope.checks.measure import differences
from rnnscope.checks.steps import output_rows, shape, valid_steps
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerSlice
from rnnscope.pooling.interface import (
    Direction,
    Edge,
    NaiveDifference,
    PooledResult,
    PooledSink,
    PoolJob,
    PoolSource,
)
from rnnscope.pooling.methods import POOLINGS
from rnnscope.pooling.plan import PoolPlan
from rnnscope.trace import Trace
from rnnscope.trace.schema import LayerHeader

SLICE_BYTES = 64 * 2**20
"""What a slice of sequences may take, unless one sequence alone takes more."""


@dataclass
class Tally:
    """What is counted over all slices of a job."""

    padded: int = 0
    empty: int = 0
    naive: NaiveDifference = field(default_factory=NaiveDifference)

    def merge(self, later: Tally) -> None:
        """Add what was counted in later slices."""
        self.padded += later.padded
        self.empty += later.empty
        sequences = self.naive.sequences + later.naive.sequences
        if _is_larger(later.naive.difference, self.naive.difference):
            self.naive = later.naive
        self.naive = replace(self.naive, sequences=sequences)


def pool_trace(
    trace: Trace, plan: PoolPlan, sink: PooledSink, *, naive: bool = False
) -> tuple[PooledResult, ...]:
    """Pool what is planned.

    Parameters
    ----------
    trace : Trace
    plan : PoolPlan
    sink : PooledSink
        Where the arrays go.
    naive : bool
        Pool a second time as if there were no padding, and say by how much that differs.

    Returns
    -------
    tuple of PooledResult
        One a job, in the plan's order.

    Raises
    ------
    TraceError
        The trace is damaged, or the sink's disk is full.
    """
    results = []
    for source, jobs in plan_groups(plan):
        tallies = [Tally() for _ in jobs]
        for rows in slices_of(trace, source):
            pool_rows(trace, source, jobs, plan.edge, rows, sink, tallies, naive=naive)
        for job, tally in zip(jobs, tallies, strict=True):
            results.append(result_of(job, tally, trace.sequences, sink, naive=naive))
    return tuple(results)


def plan_groups(plan: PoolPlan) -> list[tuple[PoolSource, list[PoolJob]]]:
    """The jobs of a plan that read the same layers, together."""
    return [(source, [*group]) for source, group in groupby(plan.jobs, key=lambda job: job.source)]


def pool_rows(
    trace: Trace,
    source: PoolSource,
    jobs: Sequence[PoolJob],
    edge: Edge,
    rows: slice,
    sink: PooledSink,
    tallies: Sequence[Tally],
    *,
    naive: bool,
) -> None:
    """Do some jobs for some sequences."""
    states = {job.state for job in jobs}
    layers = [trace.read_layer(layer.name, rows, only=states) for layer in source.layers]
    for job, tally in zip(jobs, tallies, strict=True):
        _pool_slice(job, edge, layers, rows, sink, tally, naive=naive)


def result_of(
    job: PoolJob, tally: Tally, sequences: int, sink: PooledSink, *, naive: bool
) -> PooledResult:
    """What is told of a job, once all its slices are counted."""
    header = job.header
    return PooledResult(
        layer=header.layer,
        state=header.state,
        method=header.method,
        layers=header.layers,
        direction=job.source.direction,
        edge="final" if header.edge == "final" else "input" if header.edge else None,
        shape=(sequences, header.width),
        dtype=header.dtype,
        array=sink.place(header),
        padded=tally.padded,
        empty=tally.empty,
        naive=tally.naive if naive else None,
    )


def slices_of(trace: Trace, source: PoolSource) -> Iterator[slice]:
    """The slices of sequences that are pooled at a time."""
    per_sequence = sum(_bytes_of(layer, trace.timesteps) for layer in source.layers)
    step = max(1, SLICE_BYTES // max(1, per_sequence))
    for start in range(0, trace.sequences, step):
        yield slice(start, min(start + step, trace.sequences))


def _bytes_of(layer: LayerHeader, timesteps: int) -> int:
    """Bytes of one sequence as it is read, and of what pooling makes of one array of it."""
    widths = [*layer.widths.values(), layer.output_size]
    stored = sum(widths) + len(layer.gates) * (layer.unit_size or 0)
    computed = 3 * max(widths) * np.dtype(np.float64).itemsize
    return (layer.timesteps or timesteps) * (stored * np.dtype(layer.dtype).itemsize + computed)


def _pool_slice(
    job: PoolJob,
    edge: Edge,
    layers: Sequence[LayerSlice],
    rows: slice,
    sink: PooledSink,
    tally: Tally,
    *,
    naive: bool,
) -> None:
    valid = _valid(layers[0])
    tally.padded += int((~valid.all(axis=1)).sum())
    has_steps = np.flatnonzero(valid.any(axis=1))
    tally.empty += len(valid) - len(has_steps)
    pooled = pool_layers(job.method, job.state, layers, valid, job.source.direction, edge)
    pooled = _as_stored(pooled, job.header.dtype)
    sink.write(job.header, pooled, rows)
    if naive:
        every = np.ones_like(valid)
        other = pool_layers(job.method, job.state, layers, every, job.source.direction, edge)
        other = _as_stored(other, job.header.dtype)
        tally.naive = _merged(tally.naive, pooled, other, has_steps, rows.start)


def _as_stored(values: Array, dtype: str) -> Array:
    with np.errstate(over="ignore"):  # a sum beyond float32 is infinite there
        return np.ascontiguousarray(values.astype(dtype, copy=False))


def _valid(layer: LayerSlice) -> Array:
    mask = valid_steps(layer)
    return np.ones(shape(layer), bool) if mask is None else mask


def pool_layers(
    method: str,
    state: str,
    layers: Sequence[LayerSlice],
    valid: Array,
    direction: Direction | None = None,
    edge: Edge = "input",
) -> Array:
    """Pool one layer, or two directions joined.

    Directions are joined first and pooled then, so that the largest value of a sum is that of the
    sum. First and last are taken from each direction and joined then, as each has its own edge.

    Parameters
    ----------
    method : str
        A key of POOLINGS.
    state : str
        ``"m"``, ``"c"`` or ``"outputs"``.
    layers : sequence of LayerSlice
        One; or forward and backward.
    valid : ndarray of bool (sequence, timestep)
        The steps that count.
    direction : Direction, optional
        ``"concat"`` or ``"sum"`` for two layers.
    edge : Edge

    Returns
    -------
    ndarray (sequence, unit)
        As `Pooling` returns it; float64 for a sum of directions.
    """
    pooling = POOLINGS[method]
    arrays = [_in_input_order(layer, state) for layer in layers]
    if not pooling.opposite:
        return pooling(_join(arrays, direction), valid)
    own = [
        POOLINGS[pooling.opposite] if edge == "final" and layer.facts.backward else pooling
        for layer in layers
    ]
    parts = [pool(array, valid) for pool, array in zip(own, arrays, strict=True)]
    return _join(parts, direction)


def _in_input_order(layer: LayerSlice, state: str) -> Array:
    """A state's array (sequence, timestep, unit), outputs too in the order of the input."""
    if state != "outputs":
        return layer.states.states[state]
    outputs = layer.states.outputs
    if layer.facts.outputs_in_input_order or not layer.facts.backward:
        return outputs
    times = np.broadcast_to(np.arange(outputs.shape[1]), outputs.shape[:2])
    rows = np.broadcast_to(np.arange(outputs.shape[0])[:, None], outputs.shape[:2])
    turned: Array = outputs[rows, output_rows(layer, rows, times)]
    return turned


def _join(arrays: Sequence[Array], direction: Direction | None) -> Array:
    if len(arrays) == 1:
        return arrays[0]
    if direction == "sum":
        # Rounded once, when the result is stored.
        total: Array = np.add(arrays[0], arrays[1], dtype=np.float64)
        return total
    return np.concatenate(arrays, axis=-1)


def _is_larger(here: float, before: float) -> bool:
    """Whether a difference takes the place of an earlier one; NaN is above all."""
    return not np.isnan(before) and bool(here > before or np.isnan(here))


def _merged(
    before: NaiveDifference, pooled: Array, naive: Array, rows: Array, first: int
) -> NaiveDifference:
    """Add a slice to what was found of the others; the largest difference, of `rows`, stays."""
    gap = differences(pooled, naive)
    # NaN is a difference, too: `gap > 0` would not see it.
    sequences = before.sequences + int((~(gap <= 0)).any(axis=1).sum())
    largest, place = before.difference, before.place
    values = (before.pooled, before.naive)
    if gap[rows].size:
        row, unit = np.unravel_index(int(gap[rows].argmax()), gap[rows].shape)
        here = float(gap[rows][row, unit])
        if _is_larger(here, largest):
            at = (int(rows[row]), int(unit))
            largest, place = here, StatePlace(first + at[0], None, at[1])
            values = (pooled[at].item(), naive[at].item())
    return NaiveDifference(sequences, largest, place, *values)
