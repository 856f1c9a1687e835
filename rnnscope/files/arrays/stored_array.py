"""Arrays in files, read part by part: only what is asked for enters memory, and none of it stays.

Memory maps are avoided: their pages count as the process's own, so that a run over a large file
would seem to grow, and be stopped where memory is limited.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Protocol

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.archives.inner_file import AnyFile
from rnnscope.model.cell import Array

LOAD_BELOW_BYTES = 2**20
"""Smaller arrays are loaded at once, which reads and checks them in one go."""

GAP_BYTES = 8 * 2**10
"""Gaps up to this size are read and dropped: that is quicker than another call of the system."""

SCRATCH_BYTES = 4 * 2**20
"""What is read at once where it has to be moved afterwards; it fits a processor's cache."""

Key = tuple[slice, ...]
"""Slices of step 1 along the first axes; the others are read whole."""


class StoredArray(Protocol):
    """An array whose parts can be read.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
        In native byte order.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        """A part as a C-contiguous array; `out`, of the part's shape and dtype, is filled."""
        ...


class LoadedArray:
    """An array that is in memory as a whole."""

    def __init__(self, array: Array) -> None:
        self.array: Array = array.astype(array.dtype.newbyteorder("="), copy=False)
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = self.array.dtype

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        part = self.array[key]
        if out is None:
            return np.ascontiguousarray(part).reshape(part.shape)
        np.copyto(out, part, casting="no")
        return out


class LateArray:
    """An array that is loaded as a whole, and only when a part of it is read.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
        As stored.
    load : callable
        ``load() -> ndarray`` of that shape and dtype.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], load: Callable[[], Array]
    ) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = dtype.newbyteorder("=")
        self._load = load
        self._loaded: LoadedArray | None = None

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        """A part of the array."""
        if self._loaded is None:
            self._loaded = LoadedArray(self._load())
        return self._loaded.read(key, out)


class FileArray:
    """An array whose bytes lie in a file one after the other, as ``.npy`` has them.

    Parameters
    ----------
    path : Path or InnerFile
    offset : int
        Of the first value, in bytes.
    shape : tuple of int
    dtype : dtype
        As stored.
    fortran : bool
        The first axis runs fastest.

    Raises
    ------
    ValueError
        The file ends before the array does.
    OSError
    """

    def __init__(
        self,
        path: AnyFile,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        fortran: bool,
    ) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = dtype.newbyteorder("=")
        self._swapped = dtype != self.dtype
        self._path, self._offset, self._fortran = path, offset, fortran
        self._stored = shape[::-1] if fortran else shape
        self._file: Any = path.open("rb", buffering=0)
        ends, size = offset + math.prod(shape) * dtype.itemsize, path.stat().st_size
        if ends > size:
            self.close()
            raise ValueError(f"the array would end at byte {ends}, the file has {size}")

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        """Read a part of the array.

        Raises
        ------
        InputError
            The file has been cut meanwhile, or the disk failed.
        """
        spans = [part.indices(size)[:2] for part, size in zip(key, self.shape, strict=False)]
        spans = [(start, max(start, stop)) for start, stop in spans]
        spans += [(0, size) for size in self.shape[len(spans) :]]
        if self._fortran:
            part = self._read_stored(spans[::-1], None).transpose()
            if out is None:
                return np.ascontiguousarray(part)
            np.copyto(out, part, casting="no")
            return out
        return self._read_stored(spans, out)

    def close(self) -> None:
        self._file.close()

    def _read_stored(self, spans: list[tuple[int, int]], out: Array | None) -> Array:
        if out is None:
            out = np.empty([stop - start for start, stop in spans], self.dtype)
        if out.size:
            try:
                self._fill(out.reshape(-1).view(np.uint8), spans)
            except (OSError, EOFError) as error:
                raise InputError(
                    "The input file cannot be read to its end.",
                    where=self._path,
                    expected="the size that it had when it was opened",
                    found=str(error),
                    hint="has another program changed it meanwhile?",
                ) from error
            if self._swapped:
                out.byteswap(inplace=True)
        return out

    def _fill(self, out: Array, spans: list[tuple[int, int]]) -> None:
        """Read what `spans` select into bytes `out`."""
        strides = _strides(self._stored, self.dtype.itemsize)
        # Whole axes at the end join into one run of bytes, with the axis before them.
        axis = len(spans) - 1
        while axis > 0 and spans[axis] == (0, self._stored[axis]):
            axis -= 1
        run = (spans[axis][1] - spans[axis][0]) * strides[axis] if spans else len(out)
        rows, stride = (spans[axis - 1], strides[axis - 1]) if axis > 0 else ((0, 1), run)
        first = self._offset + sum(
            start * step for (start, _), step in zip(spans, strides, strict=True)
        )
        outer = [range(stop - start) for start, stop in spans[: max(axis - 1, 0)]]
        blocks = out.reshape(-1, rows[1] - rows[0], run)
        for block, place in zip(blocks, product(*outer), strict=True):
            at = first + sum(number * step for number, step in zip(place, strides, strict=False))
            self._read_rows(at, stride, block)

    def _read_rows(self, at: int, stride: int, out: Array) -> None:
        """Read the rows of `out` (row, byte), which begin every `stride` bytes from `at`."""
        run = out.shape[1]
        together = SCRATCH_BYTES // stride
        if len(out) == 1 or stride - run > GAP_BYTES or together < 2:
            for number, row in enumerate(out):
                self._read_bytes(at + number * stride, row)
            return
        scratch = np.empty((min(together, len(out)), stride), np.uint8)
        for first in range(0, len(out), together):
            rows = out[first : first + together]
            part = scratch[: len(rows)]
            # The last row's gap may lie behind the end of the file.
            wanted = part.reshape(-1)[: (len(rows) - 1) * stride + run]
            self._read_bytes(at + first * stride, wanted)
            rows[...] = part[:, :run]

    def _read_bytes(self, at: int, out: Array) -> None:
        self._file.seek(at)
        done = self._file.readinto(out.data)
        while done < len(out):  # one call of the system reads at most 2 GiB
            more = self._file.readinto(out[done:].data)
            if not more:
                raise EOFError(f"it ends at byte {at + done}")
            done += more


def pieces(count: int, each: int) -> Iterator[slice]:
    """Cut `count` things of `each` bytes into slices that take about `SCRATCH_BYTES`."""
    together = max(1, SCRATCH_BYTES // max(1, each))
    return (slice(first, min(first + together, count)) for first in range(0, count, together))


def _strides(shape: tuple[int, ...], itemsize: int) -> list[int]:
    return [itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
