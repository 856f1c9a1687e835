"""A picture from what Python says: paths or open traces, options as plain values."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rnnscope.comparing.tolerance import Bounds, make_tolerances
from rnnscope.seeing.labels import read_labels
from rnnscope.seeing.picture import Picture, draw_picture, picture_size
from rnnscope.seeing.plots.interface import PlotRequest, Sources
from rnnscope.trace import Trace

TraceOrPath = Trace | str | os.PathLike[str]


def draw(
    trace: TraceOrPath,
    /,
    *,
    kind: str = "heatmap",
    other: TraceOrPath | None = None,
    layer: str | None = None,
    state: str | None = None,
    sequence: int | None = None,
    steps: str | None = None,
    units: str | None = None,
    rank: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    atol: Bounds = None,
    rtol: Bounds = None,
    title: str | None = None,
    size: str | None = None,
    dpi: int | None = None,
) -> Picture:
    """Draw the states of a trace.

    Parameters
    ----------
    trace : Trace, str or path
        A trace that is open stays open.
    kind : str
        A key of PLOTS.
    other : Trace, str or path, optional
        What ``"diff"`` compares `trace` with.
    layer, state, sequence, steps, units, rank, labels
        As of `rnnscope.show`; of ``"saturation"``, no sequence means all.
    atol, rtol : float, str or mapping, optional
        Beyond which two traces part, as of `rnnscope.diff`.
    title : str, optional
    size : str, optional
        ``"6.8x3.6"``, in inches.
    dpi : int, optional
        Pixels an inch.

    Returns
    -------
    Picture

    Raises
    ------
    EngineError
        matplotlib is not installed.
    RnnscopeError
        There is no such kind, or the trace lacks what it shows.
    """
    given = any(one is not None and one != () for one in (atol, rtol))
    request = PlotRequest(
        layer=layer,
        state=state,
        sequence=sequence,
        steps=steps,
        units=units,
        rank=rank,
        labels=None if labels is None else read_labels(os.fspath(labels)),
        title=title,
        tolerances=make_tolerances(atol, rtol) if given else None,
    )
    with ExitStack() as opened:
        one = opened.enter_context(_opened(trace))
        two = None if other is None else opened.enter_context(_opened(other))
        return draw_picture(Sources(one, two), kind, request, picture_size(kind, size, dpi))


@contextmanager
def _opened(trace: TraceOrPath) -> Iterator[Trace]:
    """An open trace, which stays open; or the one at a path."""
    if isinstance(trace, Trace):
        yield trace
        return
    with Trace.open(trace) as opened:
        yield opened
