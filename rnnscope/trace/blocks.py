"""Moving blocks of memory into stored arrays, and back: where each part of a run belongs."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.trace.stores.interface import ALL, Corner, WritableArray


class Destination:
    """An array to write to.

    Parameters
    ----------
    stored : WritableArray
    shape : tuple of int
        Of all that is given to it.
    kept : tuple of (ndarray of int or None)
        The places of each axis that the store has, rising; None for all.
    """

    def __init__(
        self, stored: WritableArray, shape: Corner, kept: tuple[Array | None, ...] = ()
    ) -> None:
        self.name = stored.path
        self.shape = shape
        self._dtype: np.dtype[Any] = stored.dtype
        self._kept = kept
        self._stored = stored

    @property
    def is_whole(self) -> bool:
        """True if all that is given is kept, so that it can be read back."""
        return all(places is None for places in self._kept)

    def write(self, array: Array, sequences: slice, steps: slice = ALL) -> None:
        """Write an array to its place, without a copy where it is C-contiguous.

        Parameters
        ----------
        array : ndarray (sequence, …), (sequence, timestep, …)
            Whole along further axes. Of the stored dtype, or one that fits into it.
        sequences, steps : slice
            The array's place on the first two axes.

        Raises
        ------
        ValueError
            The array does not fit its place: checked here, because a store need not.
        """
        corner, place = self._place(sequences, steps)
        if array.shape != place or not np.can_cast(array.dtype, self._dtype, "safe"):
            raise ValueError(
                f"{self.name}: {array.shape} of {array.dtype} does not go where "
                f"{place} of {self._dtype} does"
            )
        for axis, places in enumerate(self._kept):
            if places is not None:
                start = corner[axis]
                first, last = np.searchsorted(places, (start, start + place[axis]))
                array = array[(ALL,) * axis + (_as_slice(places[first:last] - start),)]
                corner = (*corner[:axis], int(first), *corner[axis + 1 :])
        if array.size:
            self._store(array, corner)

    def read(self, sequences: slice, steps: slice = ALL) -> Array:
        """What has been written to a place; parameters as in `write`. It must be whole."""
        corner, place = self._place(sequences, steps)
        array = np.empty(place, self._dtype)
        if array.size:
            self._load(array, corner)
        return array

    def _store(self, array: Array, corner: Corner) -> None:
        self._stored.write_block(np.ascontiguousarray(array, self._dtype), corner)

    def _load(self, out: Array, corner: Corner) -> None:
        self._stored.read_block(out, corner)

    def _place(self, *parts: slice) -> tuple[Corner, Corner]:
        """The first place and the shape of a part of the whole."""
        spans = [part.indices(size)[:2] for part, size in zip(parts, self.shape, strict=False)]
        spans += [(0, size) for size in self.shape[len(parts) :]]
        return tuple(start for start, _ in spans), tuple(stop - start for start, stop in spans)


class RaggedDestination(Destination):
    """An array (step, …) that takes the valid steps of (sequence, timestep, …).

    Parameters
    ----------
    stored, shape, kept
        As for `Destination`; nothing is left out of the first two axes.
    offsets : ndarray of int64 (sequence + 1,)
        Where each sequence begins.
    """

    def __init__(
        self, stored: WritableArray, shape: Corner, kept: tuple[Array | None, ...], offsets: Array
    ) -> None:
        super().__init__(stored, shape, kept)
        self._offsets = offsets

    def _store(self, array: Array, corner: Corner) -> None:
        for part, at, rows in self._parts(array, corner):
            # One selection gathers the valid steps of all these sequences.
            super()._store(part[rows], (at, *corner[2:]))

    def _load(self, out: Array, corner: Corner) -> None:
        out[...] = 0
        for part, at, rows in self._parts(out, corner):
            flat = np.empty((int(np.count_nonzero(rows)), *out.shape[2:]), out.dtype)
            super()._load(flat, (at, *corner[2:]))
            part[rows] = flat

    def _parts(self, array: Array, corner: Corner) -> list[tuple[Array, int, Array]]:
        """Parts of an array whose valid steps lie together: a view, their place, which they are."""
        first, start = corner[:2]
        offsets = self._offsets[first : first + len(array) + 1]
        steps = np.arange(start, start + array.shape[1])
        valid = steps < np.diff(offsets)[:, None]
        if start == 0 and array.shape[1] >= np.diff(offsets).max(initial=0):
            return [(array, int(offsets[0]), valid)] if valid.any() else []
        return [
            (array[row : row + 1], int(offsets[row]) + start, valid[row : row + 1])
            for row in np.flatnonzero(valid.any(axis=1))
        ]


def same_bits(one: Array, other: Array) -> bool:
    """True if two arrays hold the same bytes: at once where they are the same memory."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one is other or one.__array_interface__ == other.__array_interface__:
        return True
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def _as_slice(places: Array) -> Any:
    """Places as a slice where they are evenly spaced: it needs no copy."""
    if len(places) > 1:
        gap = int(places[1] - places[0])
        if not np.array_equal(places, np.arange(places[0], places[-1] + 1, gap)):
            return places
    else:
        gap = 1
    return slice(int(places[0]), int(places[-1]) + 1, gap) if len(places) else slice(0, 0)
