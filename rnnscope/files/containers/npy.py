"""``.npy`` files, and the header that ``.npz`` members share with them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.arrays import stored_array
from rnnscope.files.arrays.stored_array import FileArray, LoadedArray, StoredArray

ODD_HEADERS = (SyntaxError, TokenError, TypeError, OverflowError, RecursionError, MemoryError)
"""What numpy raises beside ValueError: it reads the header as a literal of Python."""


class ObjectArrayError(ValueError):
    """The header of an array of objects, of which the ``shape`` alone is known without pickle."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__("an object array, which only pickle could load")
        self.shape = shape


class NpyFile:
    """One array in NumPy's ``.npy`` format, read in place when large."""

    kind = "npy"
    names: tuple[str, ...] = ("",)

    def __init__(self, path: Path) -> None:
        self.path = path
        self._there = path.absolute()  # the array is opened later, and the folder may be changed
        self._opened: list[FileArray] = []

    def array(self, name: str) -> StoredArray:  # noqa: ARG002  # a file of one array
        """The array.

        Raises
        ------
        InputError
            The file is cut off, damaged, or holds objects.
        """
        try:
            with self._there.open("rb") as file:
                shape, fortran, dtype = read_npy_header(file)
                start = file.tell()
                stored = os.fstat(file.fileno()).st_size
                _require_stored(shape, dtype, stored - start)
                if stored < stored_array.LOAD_BELOW_BYTES:
                    file.seek(0)
                    return LoadedArray(np.lib.format.read_array(file, allow_pickle=False))
            array = FileArray(self._there, start, shape, dtype, fortran)
        except (ValueError, EOFError, OSError) as error:
            raise InputError(
                "The .npy file cannot be read.",
                where=self.path,
                expected="a whole array of numbers, without pickled objects",
                found=str(error),
                hint="save it again with numpy.save, as a float32 or float64 array",
            ) from error
        self._opened.append(array)
        return array

    def close(self) -> None:
        for array in self._opened:
            array.close()


def read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype of an ``.npy``; version 3 is for structured dtypes only.

    Raises
    ------
    ValueError
        It is no such header; an `ObjectArrayError` if it is that of an array of objects.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an .npy header of version {version}")
    first = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except ODD_HEADERS as error:
        raise ValueError(f"a header that is no description of an array ({error})") from error
    if dtype.hasobject:
        raise ObjectArrayError(shape)
    if not all(type(size) is int and 0 <= size < 2**62 for size in shape):
        raise ValueError(f"a header that declares the shape {shape}")
    return shape, fortran, dtype


def _require_stored(shape: tuple[int, ...], dtype: np.dtype[Any], stored: int) -> None:
    """Refuse a header that declares more than the file holds, before memory is taken."""
    declared = math.prod(shape) * dtype.itemsize
    if declared > stored:
        raise ValueError(f"the header declares {declared} bytes of values, the file has {stored}")
