"""A trace pooled by the workers of a cluster, to the result of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.clusters.dask_cluster import Cluster
from rnnscope.clusters.pieces import in_order, pieces
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.pooling.interface import PooledResult, PooledSink
from rnnscope.pooling.plan import PoolPlan, plan_pool
from rnnscope.pooling.streaming import (
    SLICE_BYTES,
    Tally,
    plan_groups,
    pool_rows,
    result_of,
    slices_of,
)
from rnnscope.trace import Trace
from rnnscope.trace.pooled import PooledHeader


@dataclass(frozen=True)
class PoolOptions:
    """What `plan_pool` is given beside the trace, as values."""

    states: tuple[str, ...]
    methods: tuple[str, ...]
    layers: tuple[str, ...]
    direction: Any
    edge: Any
    naive: bool

    def plan(self, trace: Trace) -> PoolPlan:
        """The plan for a trace: the same here and on a worker."""
        return plan_pool(
            trace, self.states, self.methods, layers=self.layers, direction=self.direction,
            edge=self.edge,
        )  # fmt: skip


def pool_on_cluster(
    trace: Trace, plan: PoolPlan, options: PoolOptions, sink: PooledSink, cluster: Cluster
) -> tuple[PooledResult, ...]:
    """What `rnnscope.pooling.streaming.pool_trace` does, by workers.

    Pooled values come back over the network: a number for each sequence and unit.
    """
    cluster.require_files([trace.path.absolute()])
    path = str(trace.path.absolute())
    results = []
    for number, (source, jobs) in enumerate(plan_groups(plan)):
        every = [*slices_of(trace, source)]
        calls = [
            (path, options, number, every[part])
            for part in pieces(len(every), len(every) * SLICE_BYTES, cluster)
        ]
        tallies = [Tally() for _ in jobs]
        for written, counted in in_order(cluster, pool_piece, calls):
            for header, rows, values in written:
                sink.write(header, values, rows)
            for tally, later in zip(tallies, counted, strict=True):
                tally.merge(later)
        for job, tally in zip(jobs, tallies, strict=True):
            results.append(result_of(job, tally, trace.sequences, sink, naive=options.naive))
    return tuple(results)


class _Kept:
    """A sink that keeps what it is given, to be sent."""

    def __init__(self) -> None:
        self.written: list[tuple[PooledHeader, slice, Array]] = []

    def write(self, header: PooledHeader, values: Array, sequences: slice) -> None:
        self.written.append((header, sequences, values))

    def place(self, header: PooledHeader) -> str:
        return header.key


def pool_piece(
    path: str, options: PoolOptions, number: int, every: list[slice]
) -> tuple[list[tuple[PooledHeader, slice, Array]], list[Tally]]:
    """What a worker pools: some slices of the layers of one group of jobs."""
    with Trace.open(Path(path)) as trace:
        plan = options.plan(trace)
        source, jobs = plan_groups(plan)[number]
        sink, tallies = _Kept(), [Tally() for _ in jobs]
        for rows in every:
            pool_rows(trace, source, jobs, plan.edge, rows, sink, tallies, naive=options.naive)
        return sink.written, tallies
