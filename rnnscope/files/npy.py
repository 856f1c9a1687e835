"""``.npy`` files, and the header that ``.npz`` members share with them."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files import stored_array
from rnnscope.files.stored_array import FileArray, LoadedArray, StoredArray


class NpyFile:
    """One array in NumPy's ``.npy`` format, read in place when large."""

    kind = "npy"
    names: tuple[str, ...] = ("",)

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: list[FileArray] = []

    def array(self, name: str) -> StoredArray:  # noqa: ARG002  # a file of one array
        """The array.

        Raises
        ------
        InputError
            The file is cut off, damaged, or holds objects.
        """
        try:
            if self.path.stat().st_size < stored_array.LOAD_BELOW_BYTES:
                return LoadedArray(np.load(self.path, allow_pickle=False))
            with self.path.open("rb") as file:
                shape, fortran, dtype = read_npy_header(file)
                start = file.tell()
            array = FileArray(self.path, start, shape, dtype, fortran)
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
        It is no such header, or that of an array of objects.
    """
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"an .npy header of version {version}")
    if dtype.hasobject:
        raise ValueError("an object array, which only pickle could load")
    return shape, fortran, dtype
