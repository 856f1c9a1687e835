"""Tying the parts of a run from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnscope.record.parts.joining import JoinReport


def join(
    parts: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    /,
    output: str | os.PathLike[str],
    *,
    copy: bool = False,
    force: bool = False,
) -> JoinReport:
    """Tie the parts of a run, made anywhere and in any order, to one trace.

    Parameters
    ----------
    parts : str or path, or iterable of them
        What ``rnnscope run --part K/N`` or ``rnnscope.run(…, part=(K, N))`` wrote, or the folder.
    output : str or path
        The trace, beside the folder of the parts.
    copy : bool
        Copy all values into it: then it needs no parts.
    force : bool
        Replace an existing file.

    Returns
    -------
    JoinReport

    Raises
    ------
    TraceError
        Parts are missing or are not of one run; nothing is written.

    Examples
    --------
    >>> import numpy as np, rnnscope
    >>> np.save("many.npy", np.zeros((8, 10, 8)))
    >>> for k in (2, 1):
    ...     _ = rnnscope.run_part("sample_data/lstm_float64/model.ckpt", "many.npy", part=(k, 2),
    ...                           output="many.h5")
    >>> rnnscope.join("many.h5.parts", "many.h5").sequences
    8
    """
    from rnnscope.record.parts.joining import join_parts

    given = [parts] if isinstance(parts, (str, os.PathLike)) else list(parts)
    return join_parts(
        [Path(one) for one in given], Path(output), force=force, copy=copy, command="rnnscope.join"
    )
