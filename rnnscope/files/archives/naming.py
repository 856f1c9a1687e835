"""What a file or folder that no reader takes is, in words, and what to do with it."""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path
from typing import NamedTuple

from rnnscope.errors import RnnscopeError
from rnnscope.files.archives.file_kinds import (
    AS_INPUT,
    DOWNLOAD,
    EQX,
    FILE_KINDS,
    FOLDERS,
    FOR_TRACES,
    is_text,
    zip_names,
)
from rnnscope.files.archives.first_bytes import HDF5, ZIP
from rnnscope.files.containers.npy import read_npy_header
from rnnscope.files.hdf5.safe_hdf5 import attribute_text, child_names, open_h5

HEAD_BYTES = 4096
MAX_LISTED = 4
NAME_LENGTH = 30


class NamedFile(NamedTuple):
    """What a file turned out to be.

    Attributes
    ----------
    title : str
        ``"a TensorFlow Lite model"``.
    advice : str
        What to do.
    detail : str
        What is inside, or how it begins.
    is_input : bool
        It is an array: a likely input of a run.
    """

    title: str
    advice: str
    detail: str = ""
    is_input: bool = False


TRACE = "rnnscope-trace"

TABLE = re.compile(r"^[-+\d.eE,;\s]+$")


def name_file(path: Path) -> NamedFile | None:
    """What a file is; None if nothing about it is known. Never raises.

    Parameters
    ----------
    path : Path
        A file that is there, and not empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    array = _array(head, path)
    if array is not None:
        return array
    if head.startswith(HDF5):
        return _hdf5(path)
    for kind in FILE_KINDS:
        if kind.fits(head, path):
            return NamedFile(kind.title, kind.advice, _inside(head, path))
    if is_text(head):
        first = head.decode("utf-8", errors="replace").strip().splitlines()
        return NamedFile("a text file", "name a saved model", f"it begins {_cut(first[0])!r}"
                         if first else "")  # fmt: skip
    return None


def _array(head: bytes, path: Path) -> NamedFile | None:
    """Arrays of numbers, which are inputs."""
    if head.startswith(b"\x93NUMPY") and _has_more_arrays(path):
        return NamedFile("arrays one after the other, as Equinox' tree_serialise_leaves", EQX)
    if head.startswith(b"\x93NUMPY"):
        return NamedFile("an array (.npy)", AS_INPUT, is_input=True)
    if head.startswith(ZIP):
        names = zip_names(path)
        if names and all(name.endswith(".npy") for name in names):
            return NamedFile("arrays (.npz)", AS_INPUT, _listed(names), is_input=True)
    if is_text(head):
        lines = head.decode("utf-8", errors="ignore").strip().splitlines()
        rows = lines[1:-1] or lines[:1]
        if rows and all(TABLE.match(line) and re.search(r"\d", line) for line in rows):
            return NamedFile("a table of numbers in text", AS_INPUT, is_input=True)
    return None


def _has_more_arrays(path: Path) -> bool:
    """Whether another header stands behind the first array of an ``.npy``."""
    try:
        with path.open("rb") as file:
            shape, _, dtype = read_npy_header(file)
            file.seek(file.tell() + prod(shape) * dtype.itemsize)
            return file.read(6) == b"\x93NUMPY"
    except (OSError, ValueError, EOFError, OverflowError):
        return False


def _hdf5(path: Path) -> NamedFile:
    """An HDF5 file: a trace, arrays, or something else."""
    names, schema = list[str](), None
    try:
        with open_h5(path) as file:
            names, schema = child_names(file), attribute_text(file, "schema")
    except RnnscopeError:
        return NamedFile("an HDF5 file that is damaged", DOWNLOAD)
    if schema == TRACE:
        return NamedFile("a trace, not a saved model", FOR_TRACES)
    advice = "name a saved model; 'rnnscope help checkpoints' lists what is read"
    return NamedFile("an HDF5 file without a model that is known", advice, _listed(names))


def _inside(head: bytes, path: Path) -> str:
    """What a container holds, or how a text file is laid out."""
    if head.startswith(ZIP):
        return _listed(zip_names(path))
    if head.lstrip()[:1] == b"{" and is_text(head):
        try:
            keys = list(json.loads(path.read_bytes())) if path.stat().st_size < 2**20 else []
        except (OSError, ValueError, RecursionError):
            return ""
        return f"keys {_listed(map(str, keys))}" if keys else ""
    return ""


def _listed(names: object) -> str:
    found = [str(name) for name in names]  # type: ignore[attr-defined]
    more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
    return ", ".join(map(_cut, found[:MAX_LISTED])) + more


def _cut(text: str) -> str:
    """A name that leaves room for others in a line."""
    return text if len(text) <= NAME_LENGTH else f"{text[: NAME_LENGTH - 1]}…"


def name_folder(path: Path) -> NamedFile:
    """What a folder is, by the names in it. Never raises."""
    try:
        names = sorted(other.name for other in path.iterdir())
    except OSError:
        names = []
    for mark, title, advice in FOLDERS:
        if mark in names:
            return NamedFile(title, advice, _listed(names))
    if not names:
        return NamedFile("an empty folder", "name a saved model")
    return NamedFile("a folder without a checkpoint", "name a file or folder in it", _listed(names))
