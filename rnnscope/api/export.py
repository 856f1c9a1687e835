"""Writing states in the format of a framework or tool, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rnnscope.api.trace import StateTrace
    from rnnscope.states.export import ExportResult


def export(
    trace: str | os.PathLike[str] | StateTrace | Mapping[str, Any],
    to: str,
    path: str | os.PathLike[str],
    /,
    *,
    steps: Literal["all", "final"] = "all",
    layers: Iterable[str] = (),
    time_major: bool | None = None,
    ids: str | None = None,
    words: str | os.PathLike[str] | None = None,
    source_format: str | None = None,
    force: bool = False,
) -> ExportResult:
    """Write the states of a trace in another format.

    Parameters
    ----------
    trace : str, path, StateTrace, or mapping of str to array
        Whatever `rnnscope.diff` reads.
    to : str
        ``"torch"``, ``"keras"``, ``"tuple"``, ``"concat"``, ``"onnx"``, ``"lstmvis"``, …
    path : str or path
        Its suffix says what file: ``.npz``, ``.h5``, ``.safetensors``, ``.json``, ``.npy``; none: a
        folder of ``.npy``.
    steps : str
        ``"final"``: states after the last step alone.
    layers : iterable of str
        Globs; none: all.
    time_major : bool, optional
        Axes of arrays over time; None: as the format has it.
    ids, words : str or path, optional
        For LSTMVis: word ids, and a line for each word.
    source_format : str, optional
        How `trace` keeps its states, where it leaves a choice.
    force : bool
        Replace what is there.

    Returns
    -------
    ExportResult
        What was written, and what the format cannot hold.

    Raises
    ------
    RnnscopeError
        The format cannot hold these layers, or the file cannot be written; nothing is left then.

    Examples
    --------
    >>> import rnnscope
    >>> done = rnnscope.export("trace.h5", "torch", "h_c.npz", steps="final")
    >>> [(array.name, array.shape) for array in done.arrays]
    [('h_n', (1, 2, 64)), ('c_n', (1, 2, 64)), ('lengths', (2,))]
    """
    from rnnscope.api.trace import StateTrace
    from rnnscope.states.export import ExportRequest, export_states
    from rnnscope.states.interface import ReadOptions
    from rnnscope.states.recognise import recognise_one

    operand = trace.stored if isinstance(trace, StateTrace) else trace
    told = source_format or ("arrays" if isinstance(trace, Mapping) else None)
    source = recognise_one(operand, ReadOptions(told))
    with source.states:
        request = ExportRequest(
            to=to,
            target=Path(path),
            steps=steps,
            layers=tuple(layers),
            time_major=time_major,
            ids=ids,
            words=None if words is None else Path(words),
            force=force,
        )
        return export_states(source.states, request)
