"""Moving blocks of memory into datasets as fast as HDF5 takes them."""

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
        self._chunks: tuple[int, ...] | None = dataset.chunks
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
        first, stop, _ = sequences.indices(self.shape[0])
        start, end = 0, 0
        place: tuple[int, ...] = (stop - first, *self.shape[1:])
        if len(self.shape) > 1:
            start, end, _ = steps.indices(self.shape[1])
            place = (stop - first, end - start, *self.shape[2:])
        if array.shape != place or not np.can_cast(array.dtype, self._dtype, "safe"):
            raise ValueError(
                f"{self.name}: {array.shape} of {array.dtype} does not go where "
                f"{place} of {self._dtype} does"
            )
        if self._chunks and place[1:] == self._chunks[1:] and start % place[1] == 0:
            done = self._write_whole_chunks(array, first, start)
            array, first = array[done:], first + done
        if len(array):
            self._write_block(array, (first, start, *(0 for _ in place[2:]))[: len(place)])

    def _write_block(self, array: Array, corner: tuple[int, ...]) -> None:
        import h5py

        space = self._id.get_space()
        space.select_hyperslab(corner, array.shape)
        memory = h5py.h5s.create_simple(array.shape)
        # The low-level call takes the buffer as it is, without h5py's own look at it.
        self._id.write(memory, space, np.ascontiguousarray(array, self._dtype))

    def _write_whole_chunks(self, array: Array, first: int, start: int) -> int:
        """Hand whole chunks over as they lie in memory; returns how many sequences are done.

        HDF5's own path reaches two thirds of this speed: it looks up every row of a chunk.
        """
        together = self._chunks[0] if self._chunks else 0
        if first % together:
            return 0
        whole = len(array) // together * together
        for at in range(0, whole, together):
            block = np.ascontiguousarray(array[at : at + together], self._dtype)
            self._id.write_direct_chunk((first + at, start, 0), block)
        return whole
