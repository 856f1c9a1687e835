"""Filling the objects of a zarr array with blocks, so that each object is written once.

An object that is written in part would have to be read and written again for the next part. So
blocks are put together until an object is whole. Blocks that are whole objects already go on
without a copy.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.trace.stores.interface import Corner
from rnnscope.trace.stores.zarr_shapes import PENDING_BYTES

Place = tuple[int, ...]
"""Which object: its number along each axis."""


@dataclass
class _Pending:
    """An object that is being filled."""

    values: Array
    missing: int


class Budget:
    """What the objects being filled take in memory, over all arrays of a store."""

    def __init__(self, most: int = PENDING_BYTES) -> None:
        self.most, self.taken = most, 0


class Filling:
    """The objects of one array.

    Parameters
    ----------
    shape, objects : tuple of int
        Of the array, and of what one object holds.
    dtype : dtype
    values : callable
        ``values()``: the array as zarr writes and reads it.
    budget : Budget
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        objects: tuple[int, ...],
        dtype: np.dtype[Any],
        values: Callable[[], Any],
        budget: Budget,
    ) -> None:
        self._shape, self._objects, self._dtype = shape, objects, dtype
        self._values, self._budget = values, budget
        self._pending: dict[Place, _Pending] = {}
        self._in_part: dict[Place, int] = {}
        """Objects that had to be written before they were whole, and what they lack."""

    def write(self, array: Array, corner: Corner) -> None:
        """Take a block; each value comes once."""
        if self._is_whole(corner, array.shape):
            self._values()[_span(corner, array.shape)] = array
            return
        for place in self._places(corner, array.shape):
            start, size = self._extent(place)
            inside, outside = _overlap(corner, array.shape, start, size)
            pending = self._pending.get(place) or self._begin(place)
            pending.values[outside] = array[inside]
            pending.missing -= math.prod(one.stop - one.start for one in outside)
            if not pending.missing:
                self._store(place)

    def read(self, out: Array, corner: Corner) -> None:
        """Read back what was written."""
        if out.size:
            out[...] = self._values()[_span(corner, out.shape)]
        for place in self._places(corner, out.shape):
            pending = self._pending.get(place)
            if pending is not None:
                start, size = self._extent(place)
                inside, outside = _overlap(corner, out.shape, start, size)
                out[inside] = pending.values[outside]

    def finish(self) -> None:
        """Write what is left, whole or not."""
        for place in list(self._pending):
            self._store(place)

    def _begin(self, place: Place) -> _Pending:
        start, size = self._extent(place)
        count = math.prod(size) * self._dtype.itemsize
        if self._budget.taken + count > self._budget.most and self._pending:
            self._store(next(iter(self._pending)))
        if place in self._in_part:
            values = np.array(self._values()[_span(start, size)], self._dtype)
            pending = _Pending(values, self._in_part.pop(place))
        else:
            pending = _Pending(np.zeros(size, self._dtype), math.prod(size))
        self._budget.taken += count
        self._pending[place] = pending
        return pending

    def _store(self, place: Place) -> None:
        pending = self._pending.pop(place)
        start, size = self._extent(place)
        self._budget.taken -= pending.values.nbytes
        self._values()[_span(start, size)] = pending.values
        if pending.missing:
            self._in_part[place] = pending.missing

    def _is_whole(self, corner: Corner, size: tuple[int, ...]) -> bool:
        """Whether a block begins and ends where objects do."""
        return not self._pending and all(
            start % step == 0 and ((start + count) % step == 0 or start + count == whole)
            for start, count, step, whole in zip(
                corner, size, self._objects, self._shape, strict=True
            )
        )

    def _places(self, corner: Corner, size: tuple[int, ...]) -> Iterator[Place]:
        spans = (
            range(start // step, -(-(start + count) // step))
            for start, count, step in zip(corner, size, self._objects, strict=True)
        )
        return itertools.product(*spans)

    def _extent(self, place: Place) -> tuple[Corner, tuple[int, ...]]:
        """The first place and the size of an object, as far as the array goes."""
        start = tuple(number * step for number, step in zip(place, self._objects, strict=True))
        size = tuple(
            min(step, whole - first)
            for first, step, whole in zip(start, self._objects, self._shape, strict=True)
        )
        return start, size


def _span(corner: Corner, size: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(start, start + count) for start, count in zip(corner, size, strict=True))


def _overlap(
    corner: Corner, size: tuple[int, ...], start: Corner, extent: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where two boxes are the same, as parts of the first and of the second."""
    first = tuple(map(max, corner, start))
    last = tuple(min(a + n, b + m) for a, n, b, m in zip(corner, size, start, extent, strict=True))
    one = tuple(slice(a - c, b - c) for a, b, c in zip(first, last, corner, strict=True))
    other = tuple(slice(a - c, b - c) for a, b, c in zip(first, last, start, strict=True))
    return one, other
