"""Moving blocks of memory into datasets, and back, as fast as HDF5 takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.model.cell import Array

ALL = slice(None)
Corner = tuple[int, ...]


class Destination:
    """A dataset to write to.

    Parameters
    ----------
    dataset : h5py.Dataset
    shape : tuple of int
        Of all that is given to it.
    kept : tuple of (ndarray of int or None)
        The places of each axis that the dataset has, rising; None for all.
    """

    def __init__(self, dataset: Any, shape: Corner, kept: tuple[Array | None, ...] = ()) -> None:
        self.name: str = dataset.name
        self.shape = shape
        self._dtype: np.dtype[Any] = dataset.dtype
        self._kept = kept
        self._id = dataset.id

    @property
    def is_whole(self) -> bool:
        """True if all that is given is kept, so that it can be read back."""
        return all(places is None for places in self._kept)

    def write(self, array: Array, sequences: slice, steps: slice = ALL) -> None:
        """Write an array to its place, without a copy where it is C-contiguous.

        Parameters
        ----------
        array : ndarray (sequence, …), (sequence, timestep, …)
            Whole along further axes. Of the dataset's dtype, or one that fits into it.
        sequences, steps : slice
            The array's place on the first two axes.

        Raises
        ------
        ValueError
            The array does not fit its place: checked here, because HDF5 would not.
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
        # The low-level call takes the buffer as it is, without h5py's own look at it.
        memory, space = self._spaces(corner, array.shape)
        self._id.write(memory, space, np.ascontiguousarray(array, self._dtype))

    def _load(self, out: Array, corner: Corner) -> None:
        self._id.read(*self._spaces(corner, out.shape), out)

    def _place(self, *parts: slice) -> tuple[Corner, Corner]:
        """The first place and the shape of a part of the whole."""
        spans = [part.indices(size)[:2] for part, size in zip(parts, self.shape, strict=False)]
        spans += [(0, size) for size in self.shape[len(parts) :]]
        return tuple(start for start, _ in spans), tuple(stop - start for start, stop in spans)

    def _spaces(self, corner: Corner, place: Corner) -> tuple[Any, Any]:
        """The place in memory, and that in the file."""
        import h5py

        space = self._id.get_space()
        space.select_hyperslab(corner, place)
        return h5py.h5s.create_simple(place), space


class RaggedDestination(Destination):
    """A dataset (step, …) that takes the valid steps of (sequence, timestep, …).

    Parameters
    ----------
    dataset, shape, kept
        As for `Destination`; nothing is left out of the first two axes.
    offsets : ndarray of int64 (sequence + 1,)
        Where each sequence begins.
    """

    def __init__(
        self, dataset: Any, shape: Corner, kept: tuple[Array | None, ...], offsets: Array
    ) -> None:
        super().__init__(dataset, shape, kept)
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
