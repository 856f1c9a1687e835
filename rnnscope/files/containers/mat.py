"""MATLAB's ``.mat`` files: of versions 5 to 7 through scipy, of 7.3, which are HDF5, as they are.

References
----------
MathWorks, "MAT-File Format": 116 bytes of text that begin with ``MATLAB 5.0 MAT-file`` or
``MATLAB 7.3 MAT-file``. Arrays are stored by columns, so that HDF5 has their axes in reverse.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.arrays.array_views import Turned
from rnnscope.files.arrays.stored_array import LoadedArray, StoredArray
from rnnscope.files.guarding.limits import Unpacking
from rnnscope.files.hdf5.datasets import Hdf5File

OLD, NEW = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"
NUMBERS = ("double", "single", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
           "uint64", "logical")  # fmt: skip
FLAT = ("lengths", "offsets")
"""MATLAB has no vectors: a row or a column of one of these names is one."""


def _flat(array: StoredArray, name: str) -> StoredArray:
    if name in FLAT and len(array.shape) == 2 and 1 in array.shape:
        return LoadedArray(array.read().reshape(-1))
    return array


class MatFile:
    """The arrays of a ``.mat`` file of versions 5 to 7 by name."""

    kind = "mat"

    def __init__(self, path: Path) -> None:
        try:
            import scipy.io
        except ImportError as error:
            raise InputError(
                "This .mat file is read by scipy, which is not installed.",
                where=path,
                expected="scipy, or a file of version 7.3",
                found="no scipy",
                hint="pip install 'rnnscope[mat]', or in MATLAB: save(FILE, '-v7.3')",
            ) from error
        self.path = path
        self._loadmat = scipy.io.loadmat
        with _damage(path):
            held = scipy.io.whosmat(str(path))
        size = Unpacking(path, path.stat().st_size, InputError)
        self.names: tuple[str, ...] = tuple(name for name, _, kind in held if kind in NUMBERS)
        for name, shape, kind in held:
            if kind in NUMBERS:
                size.take(prod(int(one) for one in shape), name)

    def array(self, name: str) -> StoredArray:
        """One array; loaded whole.

        Raises
        ------
        InputError
            The file is damaged.
        """
        with _damage(self.path):
            found = self._loadmat(str(self.path), variable_names=[name], mat_dtype=False)[name]
        return _flat(LoadedArray(np.ascontiguousarray(found)), name)

    def close(self) -> None:
        """Nothing is held open."""


class _damage:  # noqa: N801  # read as a word after `with`
    """What scipy raises of a damaged file as an error that names it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, InputError):
            raise InputError(
                "The .mat file cannot be read.",
                where=self._path,
                expected="a whole MAT-file of version 5 to 7",
                found=str(error) or type(error).__name__,
                hint="save it again",
            ) from error


class MatHdf5File:
    """The arrays of a ``.mat`` file of version 7.3 by name, with MATLAB's order of axes."""

    kind = "mat"

    def __init__(self, path: Path) -> None:
        self._file = Hdf5File(path)
        self.names: tuple[str, ...] = tuple(
            name for name in self._file.names if not name.startswith("#")
        )

    def array(self, name: str) -> StoredArray:
        """One array, its axes as MATLAB shows them."""
        stored = self._file.array(name)
        return _flat(Turned(stored, range(len(stored.shape))[::-1]), name)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
