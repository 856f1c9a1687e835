"""Looking at a trace from Python."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.seeing.show import ShownStates


def show(
    trace: str | os.PathLike[str] | StateTrace,
    /,
    *,
    layer: str | None = None,
    state: str | None = None,
    sequence: int | None = None,
    steps: str | None = None,
    units: str | None = None,
    rank: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    cells: int | None = None,
) -> ShownStates:
    """Look at the states of a trace: what it holds, a heatmap, and its units.

    Parameters
    ----------
    trace : str, path or StateTrace
    layer : str, optional
        The first recurrent layer if not given.
    state : str, optional
        ``"m"``, ``"c"``, ``"outputs"``, or a gate, ``"f"``; m if not given.
    sequence : int, optional
        The first if not given.
    steps, units : str, optional
        Some of them: ``"0:80"``, ``"::10"``, ``"last:3"``, ``"5,9"``.
    rank : str, optional
        Units in order of ``"variance"``, ``"saturation"`` or ``"change"``.
    labels : str or path, optional
        Tokens for the timesteps: see `rnnscope.seeing.labels.read_labels`. Without it, those that
        the run's own input holds.
    cells : int, optional
        The most cells of the heatmap; what is larger is binned, smallest and largest kept.

    Returns
    -------
    ShownStates
        ``print`` it, or take ``.heatmap.low`` (unit, timestep), ``.ranking.units``, ``.trace``.

    Raises
    ------
    RnnscopeError
        The trace lacks what was asked for.

    Examples
    --------
    >>> import rnnscope
    >>> shown = rnnscope.show("trace.h5", state="c", sequence=1, steps="0:6", rank="variance")
    >>> shown.heatmap.low.shape, shown.heatmap.units[:3].tolist(), shown.tokens
    ((64, 6), [37, 4, 58], ())
    """
    from rnnscope.api.trace import operand_of
    from rnnscope.seeing.labels import read_labels
    from rnnscope.seeing.show import MOST_CELLS, ShowRequest, show_states
    from rnnscope.trace import Trace

    request = ShowRequest(
        layer=layer,
        state=state,
        sequence=sequence or 0,
        steps=steps,
        units=units,
        rank=rank,
        cells=MOST_CELLS if cells is None else cells,
        labels=None if labels is None else read_labels(os.fspath(labels)),
    )
    source = operand_of(trace)
    with nullcontext(source) if isinstance(source, Trace) else Trace.open(source) as opened:
        return show_states(opened, request)
