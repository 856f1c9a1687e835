"""One call from a trace to pooled arrays: in the trace, in a file of their own, or at hand."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.clusters.dask_cluster import Cluster
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.files.remote.addresses import url_of
from rnnscope.model.cell import Array
from rnnscope.options.interface import accept
from rnnscope.options.kinds import Choice
from rnnscope.pooling.files import ArrayFile
from rnnscope.pooling.interface import DIRECTIONS, EDGES, Direction, Edge, PooledSink
from rnnscope.pooling.methods import POOLINGS
from rnnscope.pooling.notes import pool_notes, valid_steps_words
from rnnscope.pooling.on_cluster import PoolOptions, pool_on_cluster
from rnnscope.pooling.plan import STATES, PoolPlan, plan_pool
from rnnscope.pooling.result import PoolReport
from rnnscope.pooling.streaming import pool_trace
from rnnscope.trace import Trace
from rnnscope.trace.pooled import PooledHeader, PooledWriter
from rnnscope.trace.stores.naming import is_zarr

ALL = "all"
"""Every method."""


@dataclass(frozen=True)
class PoolRequest:
    """What is to be pooled, and how; `PoolRequest.make` looks at the values.

    Attributes
    ----------
    states : tuple of str
        Of ``m c outputs``.
    methods : tuple of str
        Keys of POOLINGS.
    layers : tuple of str
        Names or globs; empty: all.
    direction : Direction or None
    edge : Edge
    naive : bool
        Say by how much ignoring the padding would differ.
    """

    states: tuple[str, ...]
    methods: tuple[str, ...]
    layers: tuple[str, ...] = ()
    direction: Direction | None = None
    edge: Edge = "input"
    naive: bool = False

    @classmethod
    def make(
        cls,
        states: str | Iterable[str],
        methods: str | Iterable[str],
        *,
        layers: str | Iterable[str] = (),
        direction: str | None = None,
        edge: str = "input",
        naive: bool = False,
    ) -> PoolRequest:
        """A request from what any surface gives: one name, or several; ``"all"``: every method.

        Raises
        ------
        OptionError
            A name is unknown; it suggests the nearest.
        """
        wanted = [_accepted("methods", name, (*POOLINGS, ALL)) for name in _several(methods)]
        joined: Any = None if direction is None else _accepted("direction", direction, DIRECTIONS)
        edge_name: Any = _accepted("edge", edge, EDGES)
        return cls(
            states=tuple(_accepted("states", name, STATES) for name in _several(states)),
            methods=tuple(POOLINGS) if ALL in wanted else tuple(wanted),
            layers=tuple(_several(layers)),
            direction=joined,
            edge=edge_name,
            naive=naive,
        )


def _several(names: str | Iterable[str]) -> Iterable[str]:
    return [names] if isinstance(names, str) else names


def _accepted(option: str, name: str, names: Iterable[str]) -> str:
    chosen: str = accept(Choice(names=tuple(names)), name, called=spell(option))
    return chosen


class MemorySink:
    """Keeps pooled arrays in memory, and hands them on to another sink, if there is one.

    Attributes
    ----------
    arrays : dict of str to ndarray (sequence, unit)
        By ``LAYER/STATE/METHOD``.
    """

    def __init__(self, sequences: int, further: PooledSink | None = None) -> None:
        self.arrays: dict[str, Array] = {}
        self._sequences, self._further = sequences, further

    def write(self, header: PooledHeader, values: Array, sequences: slice) -> None:
        if header.key not in self.arrays:
            shape = (self._sequences, *values.shape[1:])
            self.arrays[header.key] = np.empty(shape, values.dtype)
        self.arrays[header.key][sequences] = values
        if self._further is not None:
            self._further.write(header, values, sequences)

    def place(self, header: PooledHeader) -> str:
        return header.key if self._further is None else self._further.place(header)


@dataclass(frozen=True)
class PoolTarget:
    """Where pooled arrays go; nowhere but into memory if nothing is said.

    Attributes
    ----------
    output : Path or None
        An ``.npy`` or ``.npz`` to write.
    store : bool
        Add them to the trace's file.
    keep : bool
        Keep them in memory.
    force : bool
        Replace what is there.
    """

    output: Path | None = None
    store: bool = False
    keep: bool = False
    force: bool = False


def pool_states(
    trace: Trace,
    request: PoolRequest,
    target: PoolTarget,
    command: str = "",
    cluster: Cluster | None = None,
) -> tuple[PoolReport, dict[str, Array]]:
    """Pool the states of a trace.

    Parameters
    ----------
    trace : Trace
    request : PoolRequest
    target : PoolTarget
    command : str
        For the report.
    cluster : Cluster, optional
        Its workers do the work, on a trace that they see.

    Returns
    -------
    PoolReport
    dict of str to ndarray (sequence, unit)
        By ``LAYER/STATE/METHOD``; empty unless they are to be kept.

    Raises
    ------
    TraceError, OptionError
        No layer fits, or none has the state; the file cannot be written.
    """
    plan = plan_pool(
        trace,
        request.states,
        request.methods,
        layers=request.layers,
        direction=request.direction,
        edge=request.edge,
    )
    kept: dict[str, Array] = {}
    with _opened(trace, plan, target) as written:
        sink = written
        if written is None or target.keep:
            sink = memory = MemorySink(trace.sequences, written)
            kept = memory.arrays
        if cluster is None:
            results = pool_trace(trace, plan, sink, naive=request.naive)
        else:
            options = PoolOptions(
                request.states, request.methods, request.layers, request.direction, request.edge,
                request.naive,
            )  # fmt: skip
            results = pool_on_cluster(trace, plan, options, sink, cluster)
    into_trace = f"{trace.path}::/pooled" if target.store else "in memory"
    report = PoolReport(
        command=command,
        trace=str(trace.path),
        sequences=trace.sequences,
        timesteps=trace.timesteps,
        valid=valid_steps_words(trace),
        written=str(target.output or into_trace),
        pooled=results,
        naive=request.naive,
        notes=(*plan.notes, *pool_notes(results)),
    )
    return report, kept


def _opened(trace: Trace, plan: PoolPlan, target: PoolTarget) -> AbstractContextManager[Any]:
    if target.output is not None:
        return ArrayFile(
            target.output,
            plan.headers,
            trace.sequences,
            force=target.force,
            inputs=(trace.path,),
        )
    if target.store and (is_zarr(trace.path) or url_of(trace.path) is not None):
        raise OptionError(
            "Pooled arrays are added to HDF5 files of this machine alone.",
            where=trace.path,
            expected="a file of their own",
            found="a zarr store" if is_zarr(trace.path) else "an address",
            hint=f"name a file with {spell('output', 'pooled.npz')}",
        )
    if target.store and not trace.path.is_file():
        raise OptionError(
            "A trace in memory has no file to add pooled arrays to.",
            where=spell("store"),
            hint=f"name a file with {spell('output')}",
        )
    if target.store:
        return PooledWriter(trace.path, plan.headers, force=target.force)
    return nullcontext()
