"""Moving blocks of memory into datasets, and back, as fast as HDF5 takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.cell import Array


class Destination:
    """A dataset to write to; its shape is asked for once, which h5py takes its time over.

    Parameters
    ----------
    dataset : h5py.Dataset
    """

    def __init__(self, dataset: Any) -> None:
        self.name: str = dataset.name
        self.shape: tuple[int, ...] = dataset.shape
        self._dtype: np.dtype[Any] = dataset.dtype
        self._id = dataset.id

    def write(self, array: Array, sequences: slice, steps: slice = slice(None)) -> None:
        """Write an array to its place, without a copy where it is C-contiguous.

        Parameters
        ----------
        array : ndarray (sequence, …), (sequence, timestep, …)
            Whole along further axes. Of the dataset's dtype, or one that fits into it.
        sequences, steps : slice
            The array's place on the dataset's first two axes.

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
        if array.size:
            # The low-level call takes the buffer as it is, without h5py's own look at it.
            self._id.write(*self._spaces(corner, place), np.ascontiguousarray(array, self._dtype))

    def read(self, sequences: slice, steps: slice = slice(None)) -> Array:
        """What has been written to a place; parameters as in `write`."""
        corner, place = self._place(sequences, steps)
        array = np.empty(place, self._dtype)
        if array.size:
            self._id.read(*self._spaces(corner, place), array)
        return array

    def _place(self, *parts: slice) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The first place and the shape of a part of the dataset."""
        spans = [part.indices(size)[:2] for part, size in zip(parts, self.shape, strict=False)] + [
            (0, size) for size in self.shape[len(parts) :]
        ]
        return tuple(start for start, _ in spans), tuple(stop - start for start, stop in spans)

    def _spaces(self, corner: tuple[int, ...], place: tuple[int, ...]) -> tuple[Any, Any]:
        """The place in memory, and that in the file."""
        import h5py

        space = self._id.get_space()
        space.select_hyperslab(corner, place)
        return h5py.h5s.create_simple(place), space


def same_bits(one: Array, other: Array) -> bool:
    """True if two arrays hold the same bytes: at once where they are the same memory."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one is other or one.__array_interface__ == other.__array_interface__:
        return True
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()
