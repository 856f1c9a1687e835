"""Files that hold arrays: which kind a file is (by content), its arrays' names, one array lazily.

To add a kind, write its class and add a line to `CONTAINERS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.archives.first_bytes import HDF5
from rnnscope.files.arrays.stored_array import LoadedArray, StoredArray
from rnnscope.files.containers.npy import NpyFile
from rnnscope.files.guarding.regular import require_regular
from rnnscope.files.hdf5.datasets import Hdf5File
from rnnscope.files.remote.local_copies import here
from rnnscope.model.cell import Array

HEAD_BYTES = 4096
KINDS_TEXT = ".npy, .npz, file.h5::/dataset, .csv, .mat or .parquet"


class Container(Protocol):
    """An opened file of arrays.

    Attributes
    ----------
    kind : str
        ``"npy"``, ``"npz"``, ``"mat"``, ``"hdf5"``, ``"csv"``, ``"parquet"`` or ``"memory"``.
    names : tuple of str
        The arrays' names; one empty name where the format gives none.
    """

    kind: str
    names: tuple[str, ...]

    def array(self, name: str) -> StoredArray: ...
    def close(self) -> None: ...


class MemoryArray:
    """One array that is no file's, opened like one that is."""

    kind = "memory"
    names: tuple[str, ...] = ("",)

    def __init__(self, array: Array) -> None:
        self._array = array

    def array(self, name: str) -> StoredArray:  # noqa: ARG002  # a container of one array
        return LoadedArray(self._array)

    def close(self) -> None:
        """Nothing is held open."""


class TextFile:
    """A table of numbers as text: one header line allowed, delimiter found by looking."""

    kind = "csv"
    names: tuple[str, ...] = ("",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def array(self, name: str) -> StoredArray:  # noqa: ARG002  # a file of one array
        try:
            return LoadedArray(_read_table(self.path.read_text("utf-8-sig")))
        except ValueError as error:
            raise InputError(
                "The text file is not a table of numbers.",
                where=self.path,
                expected="rows of numbers between , ; or tabs, one header line allowed",
                found=str(error).split(";")[0],
                hint="rows are timesteps and columns are features; decimals take a point",
            ) from error

    def close(self) -> None:
        """Nothing is held open."""


def _read_table(text: str) -> Array:
    """Rows of numbers; the first line says which delimiter, and whether it is a header."""
    lines = [line for line in text.splitlines() if line.strip()]
    delimiter = next((mark for mark in ",;\t" if mark in lines[0]), None)
    rows = lines if _is_numeric(lines[0], delimiter) else lines[1:]
    if not rows:
        raise ValueError("a header line and no rows")
    return np.loadtxt(rows, dtype=np.float64, delimiter=delimiter, ndmin=2)


def _is_numeric(line: str, delimiter: str | None) -> bool:
    try:
        [float(cell) for cell in line.split("#", maxsplit=1)[0].split(delimiter)]
    except ValueError:
        return False
    return True


def _looks_like_numbers(head: bytes) -> bool:
    """True for UTF-8 text with a digit in it; a character may be cut at the end of `head`."""
    text = head.decode("utf-8-sig", errors="ignore")
    whole = len(text.encode()) >= len(head.removeprefix(b"\xef\xbb\xbf")) - 3
    return whole and bool(re.search(r"\d", text)) and not re.search(r"[\x00-\x08\x0e-\x1f]", text)


class ContainerKind(NamedTuple):
    """One entry of `CONTAINERS`: does this head of a file look like it, and what opens it."""

    title: str
    sniff: Callable[[bytes], bool]
    open: Callable[[Path], Container]


def _npz(path: Path) -> Container:
    from rnnscope.files.containers.npz import NpzFile

    return NpzFile(path)


def _mat(path: Path) -> Container:
    from rnnscope.files.containers.mat import MatFile

    return MatFile(path)


def _mat_hdf5(path: Path) -> Container:
    from rnnscope.files.containers.mat import MatHdf5File

    return MatHdf5File(path)


def _parquet(path: Path) -> Container:
    from rnnscope.files.containers.parquet import ParquetFile

    return ParquetFile(path)


ARCHIVES = ("npz", "mat")
"""Kinds that hold arrays by name, of which lengths, a mask and initial states are taken."""

CONTAINERS = (
    ContainerKind("NumPy .npy", lambda head: head.startswith(b"\x93NUMPY"), NpyFile),
    ContainerKind("NumPy .npz", lambda head: head[:4] in (b"PK\x03\x04", b"PK\x05\x06"), _npz),
    ContainerKind("MATLAB .mat", lambda head: head.startswith(b"MATLAB 5.0 MAT-file"), _mat),
    # It is HDF5 behind a user block, with the axes in reverse.
    ContainerKind(
        "MATLAB .mat 7.3", lambda head: head.startswith(b"MATLAB 7.3 MAT-file"), _mat_hdf5
    ),
    ContainerKind("Parquet", lambda head: head.startswith(b"PAR1"), _parquet),
    # A user block of 512, 1024 or 2048 bytes may stand before the HDF5 signature.
    ContainerKind(
        "HDF5",
        lambda head: any(head[at : at + 8] == HDF5 for at in (0, 512, 1024, 2048)),
        Hdf5File,
    ),
    # Last, because any text with a digit in it passes.
    ContainerKind("text table", _looks_like_numbers, TextFile),
)


class ReadNames:
    """A container that remembers the names of the arrays that were asked for.

    Attributes
    ----------
    kind, names
        Those of the container.
    read : set of str
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self.kind, self.names = container.kind, container.names
        self.read: set[str] = set()

    def array(self, name: str) -> StoredArray:
        """An array, remembered as read."""
        self.read.add(name)
        return self._container.array(name)

    @property
    def unread(self) -> tuple[str, ...]:
        """The names of the other arrays, in the file's order."""
        return tuple(name for name in self.names if name not in self.read)

    def close(self) -> None:
        """Close the container."""
        self._container.close()


def open_container(path: Path) -> Container:
    """Open a file of arrays by its content.

    Raises
    ------
    InputError
        The file is missing, a folder, empty, unreadable or of no known kind.
    """
    path = here(path, InputError, "input")
    require_regular(path, InputError)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(
            "The input file cannot be opened.",
            where=path,
            expected=KINDS_TEXT,
            found=error.strerror or str(error),
            hint=_neighbour(path),
        ) from error
    if not head:
        raise InputError(
            "The input file is empty.", where=path, expected=KINDS_TEXT, found="0 bytes"
        )
    for kind in CONTAINERS:
        if kind.sniff(head):
            return kind.open(path)
    raise InputError(
        "The input file is of no known format.",
        where=path,
        expected=KINDS_TEXT,
        found=f"a file that begins with {head[:8]!r}",
        hint="save the array with numpy.save",
    )


def nearest(name: str, names: Iterable[str]) -> str | None:
    """A hint that names the most similar of `names`, or None."""
    import difflib

    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else None


def _neighbour(path: Path) -> str | None:
    if path.is_dir():
        return "name a file in the folder"
    try:
        return nearest(path.name, (other.name for other in path.parent.iterdir()))
    except OSError:
        return None
