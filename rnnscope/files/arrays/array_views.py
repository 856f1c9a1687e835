"""Arrays seen in other ways, still unread: axes turned, parts taken, several joined.

Each class is a `StoredArray` around others: it has a shape and a dtype, and reading a part of it
reads just the parts of the others that it needs. So a state format is a description, and a file of
any size is compared or written in slices whatever format it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from rnnscope.files.arrays.stored_array import Key, StoredArray
from rnnscope.model.cell import Array

BLOCK_BYTES = 4 * 2**20
"""What is read of an array at a time."""


class Lazy:
    """Base of the arrays in this module.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        """A part as a C-contiguous array; `out`, of the part's shape and dtype, is filled."""
        part = self._part(full_key(key, self.shape))
        if out is None:
            return np.ascontiguousarray(part, self.dtype).reshape(part.shape)
        np.copyto(out, part)
        return out

    def _part(self, key: Key) -> Array:
        raise NotImplementedError


def full_key(key: Key, shape: Sequence[int]) -> Key:
    """The key with a slice for every axis, both ends given."""
    ends = [part.indices(size)[:2] for part, size in zip(key, shape, strict=False)]
    ends += [(0, size) for size in shape[len(key) :]]
    return tuple(slice(start, max(start, stop)) for start, stop in ends)


def blocks(shape: Sequence[int], row_bytes: int, most: int = BLOCK_BYTES) -> Iterator[Key]:
    """Keys that cover an array in C order, each of at most about `most` bytes.

    Parameters
    ----------
    shape : sequence of int
        The axes that may be cut; later ones stay whole.
    row_bytes : int
        Bytes of one place on all of these axes.
    """
    if not prod(shape):
        return
    # The first axis below which everything fits is cut into runs; those before it go one by one.
    axis = len(shape) - 1
    while axis > 0 and prod(shape[axis:]) * row_bytes <= most:
        axis -= 1
    each = max(1, most // max(1, row_bytes * prod(shape[axis + 1 :])))
    for before in product(*(range(size) for size in shape[:axis])):
        fixed = tuple(slice(number, number + 1) for number in before)
        for start in range(0, shape[axis], each):
            yield (*fixed, slice(start, min(start + each, shape[axis])))


class Turned(Lazy):
    """The axes in another order, as `numpy.transpose` has it."""

    def __init__(self, source: StoredArray, axes: Sequence[int]) -> None:
        self._source, self._axes = source, tuple(axes)
        self.shape = tuple(source.shape[axis] for axis in axes)
        self.dtype = source.dtype

    def _part(self, key: Key) -> Array:
        stored = [slice(0)] * len(key)
        for part, axis in zip(key, self._axes, strict=True):
            stored[axis] = part
        turned: Array = self._source.read(tuple(stored)).transpose(self._axes)
        return turned


class Picked(Lazy):
    """One place on an axis, which is gone."""

    def __init__(self, source: StoredArray, axis: int, index: int) -> None:
        self._source, self._axis = source, axis
        self._at = slice(index, index + 1)
        self.shape = source.shape[:axis] + source.shape[axis + 1 :]
        self.dtype = source.dtype

    def _part(self, key: Key) -> Array:
        stored = (*key[: self._axis], self._at, *key[self._axis :])
        return self._source.read(stored).reshape([part.stop - part.start for part in key])


class Span(Lazy):
    """The places from `start` to `stop` on an axis."""

    def __init__(self, source: StoredArray, axis: int, start: int, stop: int) -> None:
        self._source, self._axis, self._start = source, axis, start
        self.shape = (*source.shape[:axis], stop - start, *source.shape[axis + 1 :])
        self.dtype = source.dtype

    def _part(self, key: Key) -> Array:
        moved = list(key)
        part = key[self._axis]
        moved[self._axis] = slice(part.start + self._start, part.stop + self._start)
        return self._source.read(tuple(moved))


class Expanded(Lazy):
    """A new axis of size 1."""

    def __init__(self, source: StoredArray, axis: int) -> None:
        self._source, self._axis = source, axis
        self.shape = (*source.shape[:axis], 1, *source.shape[axis:])
        self.dtype = source.dtype

    def _part(self, key: Key) -> Array:
        stored = (*key[: self._axis], *key[self._axis + 1 :])
        return self._source.read(stored).reshape([part.stop - part.start for part in key])


class Joined(Lazy):
    """Arrays one after the other along an axis, as `numpy.concatenate` puts them."""

    def __init__(self, sources: Sequence[StoredArray], axis: int) -> None:
        first = sources[0].shape
        self._axis = axis % len(first)
        self._sources = sources
        sizes = [source.shape[self._axis] for source in sources]
        self._starts = [sum(sizes[:number]) for number in range(len(sizes))]
        self.shape = (*first[: self._axis], sum(sizes), *first[self._axis + 1 :])
        self.dtype = np.result_type(*(source.dtype for source in sources))

    def _part(self, key: Key) -> Array:
        wanted, parts = key[self._axis], []
        for source, first in zip(self._sources, self._starts, strict=True):
            start = max(wanted.start - first, 0)
            stop = min(wanted.stop - first, source.shape[self._axis])
            if start < stop:
                place = (*key[: self._axis], slice(start, stop), *key[self._axis + 1 :])
                parts.append(source.read(place))
        if not parts:
            return np.empty([part.stop - part.start for part in key], self.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=self._axis)


def stacked(sources: Sequence[StoredArray], axis: int = 0) -> StoredArray:
    """Arrays of one shape beside each other on a new axis."""
    return Joined([Expanded(source, axis) for source in sources], axis)


class Taken(Lazy):
    """The places on an axis with these indices, in their order."""

    def __init__(self, source: StoredArray, axis: int, indices: Array) -> None:
        self._source, self._axis, self._indices = source, axis, indices
        self.shape = (*source.shape[:axis], len(indices), *source.shape[axis + 1 :])
        self.dtype = source.dtype

    def _part(self, key: Key) -> Array:
        wanted = self._indices[key[self._axis]]
        if not len(wanted):
            return np.empty([part.stop - part.start for part in key], self.dtype)
        first = int(wanted.min())
        around = slice(first, int(wanted.max()) + 1)
        found = self._source.read((*key[: self._axis], around, *key[self._axis + 1 :]))
        return found.take(wanted - first, axis=self._axis)


def cut_to(array: StoredArray, places: Sequence[Array | None]) -> StoredArray:
    """The array with these places of its first axes, in their order; None keeps an axis."""
    for axis, wanted in enumerate(places):
        if wanted is None:
            continue
        size = array.shape[axis]
        if len(wanted) == size and np.array_equal(wanted, np.arange(size)):
            continue
        first = int(wanted[0]) if len(wanted) else 0
        if np.array_equal(wanted, np.arange(first, first + len(wanted))):
            array = Span(array, axis, first, first + len(wanted))
        else:
            array = Taken(array, axis, wanted)
    return array


class StepOf(Lazy):
    """One timestep of each sequence: (sequence, timestep, unit) as (sequence, unit)."""

    def __init__(self, source: StoredArray, steps: Array) -> None:
        self._source, self._steps = source, steps
        self.shape = (source.shape[0], source.shape[2])
        self.dtype = source.dtype

    def _part(self, key: Key) -> Array:
        rows, units = key
        out = np.zeros((rows.stop - rows.start, units.stop - units.start), self.dtype)
        for place, (row, step) in enumerate(
            zip(range(rows.start, rows.stop), self._steps[rows], strict=True)
        ):
            if step >= 0:  # a sequence without steps has none
                at = (slice(row, row + 1), slice(int(step), int(step) + 1), units)
                out[place] = self._source.read(at)[0, 0]
        return out


class Reversed(Lazy):
    """Time turned round: whole, or the first steps of each sequence where `lengths` are given."""

    def __init__(self, source: StoredArray, lengths: Array | None = None) -> None:
        self._source = source
        # Lengths of another array may be more than the steps of this one.
        self._lengths = None if lengths is None else np.minimum(lengths, source.shape[1])
        self.shape, self.dtype = source.shape, source.dtype

    def _part(self, key: Key) -> Array:
        rows, steps, units = key
        size = self.shape[1]
        if self._lengths is None:
            turned = slice(size - steps.stop, size - steps.start)
            return self._source.read((rows, turned, units))[:, ::-1]
        whole = self._source.read((rows, slice(0, size), units))
        at = np.arange(steps.start, steps.stop)
        lengths = self._lengths[rows][:, None]
        wanted = np.where(at < lengths, lengths - 1 - at, at)
        return np.take_along_axis(whole, wanted[:, :, None], axis=1)


class Unfolded(Lazy):
    """Rows of all sequences one after the other, (step, unit), as (sequence, timestep, unit).

    Parameters
    ----------
    source : StoredArray (step, unit)
    starts, lengths : ndarray of int (sequence,)
        Where each sequence begins, and how many rows it has. Zeros stand past its end.
    timesteps : int, optional
        How many there are to be; the longest sequence's if not given.
    """

    def __init__(
        self, source: StoredArray, starts: Array, lengths: Array, timesteps: int | None = None
    ) -> None:
        self._source, self._starts, self._lengths = source, starts, lengths
        longest = int(lengths.max(initial=0)) if timesteps is None else timesteps
        self.shape = (len(starts), longest, source.shape[1])
        self.dtype = source.dtype

    def _part(self, key: Key) -> Array:
        rows, steps, units = key
        out = np.zeros([part.stop - part.start for part in key], self.dtype)
        for place, row in enumerate(range(rows.start, rows.stop)):
            stop = min(steps.stop, int(self._lengths[row]))
            if steps.start < stop:
                first = int(self._starts[row])
                at = (slice(first + steps.start, first + stop), units)
                out[place, : stop - steps.start] = self._source.read(at)
        return out


class Folded(Lazy):
    """The valid steps of all sequences one after the other: (step, unit)."""

    def __init__(self, source: StoredArray, lengths: Array) -> None:
        self._source, self._ends = source, np.cumsum(lengths)
        self._starts = self._ends - lengths
        self.shape = (int(self._ends[-1]) if len(lengths) else 0, source.shape[2])
        self.dtype = source.dtype

    def _part(self, key: Key) -> Array:
        wanted, units = key
        out = np.empty((wanted.stop - wanted.start, units.stop - units.start), self.dtype)
        row, at = int(np.searchsorted(self._ends, wanted.start, side="right")), wanted.start
        while at < wanted.stop:
            first, stop = int(self._starts[row]), min(int(self._ends[row]), wanted.stop)
            if at < stop:
                place = (slice(row, row + 1), slice(at - first, stop - first), units)
                out[at - wanted.start : stop - wanted.start] = self._source.read(place)[0]
                at = stop
            row += 1
        return out
