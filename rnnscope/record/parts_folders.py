"""Where the parts of a run go that a cluster computes, and which older ones it replaces.

Parts that a trace is tied to are not touched before the new trace has its name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from glob import escape
from pathlib import Path

from rnnscope.errors import RnnscopeError, TraceError, spell
from rnnscope.files.hdf5.safe_hdf5 import has_signature, open_h5
from rnnscope.record.targets import Target
from rnnscope.trace import check_target
from rnnscope.trace.parts.place import PARTS_SUFFIX, check_folder_name, is_folder_name
from rnnscope.trace.parts.table import FOLDER, RUN


def folder_for_parts(
    path: Path, target: Target, run: str, files: tuple[Path, ...]
) -> tuple[Path, list[Path]]:
    """The folder for the parts, and those that are of no use once the trace is written.

    Raises
    ------
    TraceError
        A trace, or parts, are there, and nobody said what to do with them.
    """
    own = path.with_name(path.name + PARTS_SUFFIX)
    check_folder_name(own)
    replaced, old_run = _tied_to(path)
    every = [own, *sorted(path.parent.glob(f"{escape(own.name)}-[0-9]*"))]
    used = [one for one in every if one.is_dir() and any(one.iterdir())]
    if target.resume and old_run == run and replaced is not None:
        return replaced, [one for one in used if one != replaced]  # damaged parts are made again
    check_target(path, target.force, files)
    begun = [one for one in used if one != replaced]
    if begun and target.resume:
        return begun[-1], [one for one in used if one != begun[-1]]
    if begun and not target.force:
        raise TraceError(
            "Parts of an earlier run are there.",
            where=begun[0],
            expected="no such folder",
            found=f"{sum(1 for _ in begun[0].iterdir())} files",
            hint=f"go on with {spell('resume')}, or make them anew with {spell('force')}",
        )
    for one in begun:
        remove_parts(one)
    number, folder = 2, own
    while os.path.lexists(folder):
        folder = own.with_name(f"{own.name}-{number}")
        number += 1
    return folder, [] if replaced is None else [replaced]


def _tied_to(path: Path) -> tuple[Path | None, str]:
    """The folder and the run of a trace in parts that is there; None and nothing where none is."""
    if not path.is_file() or not has_signature(path):
        return None, ""
    with suppress(RnnscopeError), open_h5(path, error=TraceError) as file:
        name, run = file.attrs.get(FOLDER), file.attrs.get(RUN)
        if is_folder_name(name) and isinstance(run, str):
            return path.with_name(str(name)), run
    return None, ""


def remove_parts(folder: Path) -> None:
    """Remove what runs write into a folder of parts, and the folder if nothing else is in it."""
    for pattern in ("[0-9]*-of-[0-9]*.h5", ".[0-9]*-of-[0-9]*.h5.partial*"):
        for file in folder.glob(pattern):
            with suppress(OSError):
                file.unlink()
    with suppress(OSError):
        folder.rmdir()
