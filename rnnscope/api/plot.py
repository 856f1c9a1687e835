"""Pictures of states from Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.seeing.picture import PlotReport


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
        ``layer``, ``state``, ``sequence``, ``steps``, ``units``, ``rank``, ``labels`` as of
        `rnnscope.show`; of ``"saturation"``, no sequence means all. Of ``"diff"``, ``other`` is the
        second trace, and beyond ``atol``, ``rtol`` they part, as of `rnnscope.diff`. ``title``;
        ``size`` in inches, ``"6.8x3.6"``; ``dpi``, pixels an inch.

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
    from rnnscope.api.trace import operand_of
    from rnnscope.seeing.drawing import draw
    from rnnscope.seeing.picture import check_picture_target

    check_picture_target(os.fspath(output), force=force)
    if "other" in options:
        options["other"] = operand_of(options["other"])
    return draw(operand_of(trace), kind=kind, **options).save(os.fspath(output), force=force)
