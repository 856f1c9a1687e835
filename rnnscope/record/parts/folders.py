"""Where the parts of a run go that a cluster computes, and which older ones it replaces.

Parts that a trace is tied to are not touched before the new trace has its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from rnnscope.errors import RnnscopeError, TraceError, spell
from rnnscope.files.hdf5.safe_hdf5 import has_signature, open_h5
from rnnscope.record.targets import Target
from rnnscope.trace import check_target
from rnnscope.trace.parts.place import (
    PARTS_SUFFIX,
    check_folder_name,
    is_folder_name,
    numbers_of_parts,
)
from rnnscope.trace.parts.table import FOLDER, RUN


def folder_for_parts(
    path: Path, target: Target, run: str, files: tuple[Path, ...], parts: int | None = None
) -> tuple[Path, list[Path], int | None]:
    """The folder for the parts, and those that are of no use once the trace is written.

    Parameters
    ----------
    path : Path
        Of the trace.
    target : Target
        Whether an earlier run is continued, and whether one is replaced.
    run : str
        The digest that its parts have.
    files : tuple of Path
        What the run reads.
    parts : int, optional
        Into how many parts the user divides it.

    Returns
    -------
    folder : Path
    stale : list of Path
    parts : int or None
        Into how many the run is divided that is continued; else as given.

    Raises
    ------
    TraceError
        A trace, or parts, are there, and nobody said what to do with them; or those that are to be
        continued are of another number.
    """
    own = path.with_name(path.name + PARTS_SUFFIX)
    check_folder_name(own)
    replaced, old_run = _tied_to(path)
    used = _used_folders(own)
    others = _tied_by_others(path, used)
    if target.resume and old_run == run and replaced is not None:
        # Damaged parts are made again.
        going_on = _number_to_continue(replaced, parts)
        return replaced, [one for one in used if one not in (replaced, *others)], going_on
    check_target(path, target.force, files)
    begun = [one for one in used if one != replaced and one not in others]
    # Those of a trace that has another name by now are as good, if they are of the same run.
    going = begun or [one for one in used if run in others.get(one, ())]
    if going and target.resume:
        going_on = _number_to_continue(going[-1], parts)
        return going[-1], [one for one in used if one not in (going[-1], *others)], going_on
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
    return folder, [] if replaced is None or replaced in others else [replaced], parts


def _used_folders(own: Path) -> list[Path]:
    """The folders of parts of a trace that hold something: NAME.parts, NAME.parts-2, and so on."""
    numbers = {own: 1}
    for one in own.parent.glob(f"{escape(own.name)}-[0-9]*"):
        number = one.name[len(own.name) + 1 :]
        if number.isdecimal():  # a copy that somebody made may be called NAME.parts-2026-11 old
            numbers[one] = int(number)
    every = sorted(numbers, key=lambda one: numbers[one])
    return [one for one in every if one.is_dir() and any(one.iterdir())]


def _tied_by_others(path: Path, folders: list[Path]) -> dict[Path, set[str]]:
    """Folders to which traces of other names are tied, and of which runs these are.

    A trace in parts may have been renamed or copied, and still reads the folder of its first name.
    """
    found: dict[Path, set[str]] = {}
    if folders:
        for one in path.parent.iterdir():
            folder, run = (None, "") if one.name == path.name else _tied_to(one)
            if folder in folders:
                found.setdefault(folder, set()).add(run)
    return found


def refuse_another_number(path: Path, parts: int | None) -> None:
    """Refuse to continue a run with another number of parts than it has, by their names alone.

    Raises
    ------
    TraceError
    """
    own = path.with_name(path.name + PARTS_SUFFIX)
    folder = _tied_to(path)[0]
    if folder is not None or not _tied_by_others(path, [own]):
        _number_to_continue(folder or own, parts)


def _number_to_continue(folder: Path, parts: int | None) -> int | None:
    """Into how many parts a run goes on: as many as it began with.

    Raises
    ------
    TraceError
        The user asks for another number, of which none of those that are there would be any use;
        or they are of several.
    """
    there = sorted(numbers_of_parts(folder))
    if not there:
        return parts
    if len(there) == 1 and parts in (None, *there):
        return there[0]
    numbers = [spell("parts", str(number)) for number in there]
    anew = f"all anew with {spell('force')} in place of {spell('resume')}"
    if len(there) > 1:
        raise TraceError(
            "The parts that are there are of several runs.",
            where=folder,
            expected="parts of one number of parts",
            found=", ".join(numbers[:5]),
            hint=f"make {anew}",
        )
    raise TraceError(
        "The parts that are there are of another number of parts.",
        where=folder,
        expected=numbers[0],
        found=spell("parts", str(parts)),
        hint=f"go on with {numbers[0]}, or make {anew}",
    )


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


@contextmanager
def parts_folder(folder: Path) -> Iterator[None]:
    """Make the folder of the parts; one that stays empty goes again.

    Raises
    ------
    TraceError
        It cannot be made.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise TraceError(
            "The folder for the parts cannot be made.",
            where=folder,
            expected="permission to create folders",
            found=error.strerror,
            hint=f"name another place with {spell('output')}",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # it is not empty: so it should be
            folder.rmdir()
