"""What the master of a trace in parts tells of them: their folder, their run, a row for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.errors import TraceError
from rnnscope.files.hdf5.safe_hdf5 import child, load_array
from rnnscope.model.cell import Array
from rnnscope.trace.parts.place import MAX_PARTS, is_folder_name
from rnnscope.trace.schema import PARTS

FOLDER = "parts_folder"
"""The root attribute that makes a file a master: the name of the folder beside it."""

RUN = "parts_run"
"""The root attribute that every part has to have as its ``part_run``."""

NOTE = "parts_note"
"""The root attribute that tells plain readers where the values are."""

OF_A_MASTER = frozenset({FOLDER, RUN, NOTE})
"""Attributes that say where values are: a trace that holds its values itself has none of them."""

BYTES, SHA256, ENDS = "bytes", "sha256", "ends_sha256"
"""Datasets of the group ``parts``, a row for each part."""


def escaped(name: str) -> str:
    """A dataset's name as HDF5 takes it for a source: a % begins a number that it fills in."""
    return name.replace("%", "%%")


def folder_name(path: Path, file: Any) -> str:
    """The name of the folder of the parts; nothing that leads elsewhere is one.

    Raises
    ------
    TraceError
    """
    name = file.attrs.get(FOLDER)
    if not is_folder_name(name):
        raise wrong(path, FOLDER, "the plain name of a folder beside the file", f"{name!r:.200}")
    return str(name)


def column(path: Path, file: Any, name: str, shape: tuple[int | None, ...], kinds: str) -> Array:
    """A column of the table of parts.

    Raises
    ------
    TraceError
        It is not as FORMAT.md says.
    """
    import h5py

    dataset = child(file, f"{PARTS}/{name}", TraceError)
    where = f"/{PARTS}/{name}"
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in kinds:
        raise wrong(path, where, "integers, a row for each part", "nothing of that kind")
    sizes = tuple(dataset.shape or ())
    fits = len(sizes) == len(shape) and all(
        want in (None, size) for want, size in zip(shape, sizes, strict=True)
    )
    if not fits or sizes[0] > MAX_PARTS:
        raise wrong(path, where, f"shape {shape}", f"shape {sizes}")
    return load_array(dataset, TraceError)


def wrong(path: Path, what: str, expected: str, found: str) -> TraceError:
    """The error for a master that `join` did not write so."""
    return TraceError(
        "The trace is not tied to its parts as its schema says.",
        where=f"{path}::{what}",
        expected=expected,
        found=found,
        hint="was the file changed after rnnscope wrote it? Then join the parts again",
    )
