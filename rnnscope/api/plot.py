"""Pictures of states from Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.comparing.tolerance import Bounds
    from rnnscope.seeing.picture import Picture, PlotReport
    from rnnscope.trace import Trace


def plot(
    trace: str | os.PathLike[str] | StateTrace,
    output: str | os.PathLike[str],
    /,
    *,
    kind: str = "heatmap",
    force: bool = False,
    **options: Any,
) -> PlotReport:
    """Draw the states of a trace into a file; matplotlib draws.

    Parameters
    ----------
    trace : str, path or StateTrace
    output : str or path
        ``.png``, ``.svg`` or ``.pdf``. The same states make the same bytes, with one release of
        matplotlib.
    kind : str
        ``"heatmap"``, ``"units"``, ``"gates"``, ``"saturation"``, ``"norm"`` or ``"diff"``.
    force : bool
        Replace a file that is there.
    **options
        As of `draw`.

    Returns
    -------
    PlotReport
        ``.notes`` says what the picture does not show by itself.

    Raises
    ------
    RnnscopeError
        The trace lacks what was asked for, matplotlib is not installed, or the file cannot be
        written.

    Examples
    --------
    >>> import rnnscope
    >>> print(rnnscope.plot("trace.h5", "states.png", state="c", sequence=1))
    wrote states.png (heatmap, 6.8 x 3.6 inches, 1020 x 540 pixels)
    """
    from rnnscope.seeing.picture import check_picture_target

    check_picture_target(os.fspath(output), force=force)
    return draw(trace, kind=kind, **options).save(os.fspath(output), force=force)


def draw(
    trace: str | os.PathLike[str] | StateTrace,
    /,
    *,
    kind: str = "heatmap",
    other: str | os.PathLike[str] | StateTrace | None = None,
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
    """Draw the states of a trace, for a notebook or to change the figure before it is saved.

    Parameters
    ----------
    trace : str, path or StateTrace
    kind : str
        As of `plot`.
    other : str, path or StateTrace, optional
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
        ``.figure`` is matplotlib's, ``.save(path)`` writes it.
    """
    from rnnscope.comparing.tolerance import make_tolerances
    from rnnscope.seeing.labels import read_labels
    from rnnscope.seeing.picture import draw_picture, picture_size
    from rnnscope.seeing.plots.interface import PlotRequest, Sources

    request = PlotRequest(
        layer=layer,
        state=state,
        sequence=sequence,
        steps=steps,
        units=units,
        rank=rank,
        labels=None if labels is None else read_labels(os.fspath(labels)),
        title=title,
        tolerances=make_tolerances(atol, rtol),
    )
    with ExitStack() as opened:
        one = opened.enter_context(_opened(trace))
        two = None if other is None else opened.enter_context(_opened(other))
        return draw_picture(Sources(one, two), kind, request, picture_size(kind, size, dpi))


@contextmanager
def _opened(trace: Any) -> Iterator[Trace]:
    """An open trace, which stays open; or the one at a path."""
    from rnnscope.api.trace import operand_of
    from rnnscope.trace import Trace

    source = operand_of(trace)
    if isinstance(source, Trace):
        yield source
        return
    with Trace.open(source) as opened:
        yield opened
