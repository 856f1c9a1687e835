"""Writing states in the format of a framework or tool, from Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rnnscope.states.export import ExportResult


def export(
    trace: Any,
    to: str,
    path: str | os.PathLike[str],
    /,
    *,
    steps: Literal["all", "final"] = "all",
    layers: Iterable[str] = (),
    time_major: bool | None = None,
    ids: Any = None,
    words: str | os.PathLike[str] | Mapping[int, str] | None = None,
    source_format: str | None = None,
    force: bool = False,
) -> ExportResult:
    """Write the states of a trace in another format.

    Parameters
    ----------
    trace : str, path, StateTrace, array, or mapping or sequence of arrays
        Whatever `rnnscope.diff` reads.
    to : str
        ``"torch"``, ``"keras"``, ``"tuple"``, ``"concat"``, ``"onnx"``, ``"lstmvis"``, …;
        ``"zarr"`` or ``"hdf5"``: the whole trace in another kind of store, nothing left out.
    path : str or path
        Its suffix says what file: ``.npz``, ``.h5``, ``.safetensors``, ``.json``, ``.npy``; none: a
        folder of ``.npy``.
    steps : str
        ``"final"``: states after the last step alone.
    layers : iterable of str
        Globs; none: all.
    time_major : bool, optional
        Axes of arrays over time; None: as the format has it.
    ids : array (sequence, timestep), str or path, optional
        For LSTMVis: word ids.
    words : mapping of int to str, str or path, optional
        For LSTMVis: the word of each id, or a file with a line for each: WORD ID.
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
    from rnnscope.api.trace import operand_of
    from rnnscope.errors import spell
    from rnnscope.files.remote.addresses import as_address
    from rnnscope.options.interface import accept
    from rnnscope.options.kinds import Choice
    from rnnscope.states import EXPORT_NAMES, READ_FORMAT_NAMES, STORES
    from rnnscope.states.export import ExportRequest, export_states
    from rnnscope.states.interface import STEPS, ReadOptions
    from rnnscope.states.recognise import recognise_one

    if source_format is not None:
        known = Choice(names=READ_FORMAT_NAMES)
        source_format = accept(known, source_format, called=spell("from"))
    request = ExportRequest(
        to=accept(Choice(names=EXPORT_NAMES), to, called=spell("to")),
        target=as_address(path),
        steps=accept(Choice(names=STEPS), steps, called=spell("steps")),
        layers=(layers,) if isinstance(layers, str) else tuple(layers),
        time_major=time_major,
        ids=ids,
        words=words if words is None or isinstance(words, Mapping) else Path(words),
        force=force,
    )
    if request.to in STORES:
        from rnnscope.states.export_store import export_store

        return export_store(operand_of(trace), request, ReadOptions(source_format))
    source = recognise_one(operand_of(trace), ReadOptions(source_format))
    with source.states:
        return export_states(source.states, request)
