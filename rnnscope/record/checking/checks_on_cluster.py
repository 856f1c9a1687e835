"""The checks of a trace by the workers of a cluster, to the findings of one process."""

from __future__ import annotations

from pathlib import Path

from rnnscope.checks import CHECKS
from rnnscope.checks.settings import CheckSettings
from rnnscope.clusters.dask_cluster import Cluster
from rnnscope.clusters.pieces import in_order, pieces
from rnnscope.record.checking.slice_checks import SLICE_BYTES, SeenSlices, SliceChecks, slices_of
from rnnscope.trace import Trace

OF_THE_WHOLE = frozenset(name for name, check in CHECKS.items() if check.at_end) | {"golden"}
"""Checks that look at all sequences together: they are done here, when the others are."""


def check_on_cluster(
    trace: Trace, settings: CheckSettings, checks: SliceChecks, cluster: Cluster
) -> None:
    """Check a trace, and every part of it to its last number.

    Parameters
    ----------
    trace : Trace
    settings : CheckSettings
    checks : SliceChecks
        Takes what is found.
    cluster : Cluster

    Raises
    ------
    TraceError
        A part is damaged.
    """
    cluster.require_files([trace.path.absolute()])
    path = str(trace.path.absolute())
    if trace.parts is not None:
        for _ in in_order(
            cluster, verify_part, [(path, at) for at in range(len(trace.parts.places))]
        ):
            pass
    every = [*slices_of(trace)]
    calls = [
        (path, settings, every[part])
        for part in pieces(len(every), len(every) * SLICE_BYTES, cluster)
    ]
    for seen in in_order(cluster, check_piece, calls):
        checks.absorb(seen)
    for rows in every[-1:]:
        checks.take(rows, only=OF_THE_WHOLE, last=True)


def verify_part(path: str, at: int) -> None:
    """Look at every number of a part, on a worker."""
    with Trace.open(Path(path)) as trace:
        assert trace.parts is not None
        trace.parts.require_numbers(trace.parts.places[at])


def check_piece(path: str, settings: CheckSettings, every: list[slice]) -> SeenSlices:
    """Check some slices, on a worker."""
    with Trace.open(Path(path)) as trace:
        checks = SliceChecks(trace, settings, settings.ids() - OF_THE_WHOLE, None, None)
        for rows in every:
            checks.take(rows, last=False)
        return checks.seen()
