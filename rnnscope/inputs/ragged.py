"""Sequences of different lengths stored one after another: a flat array and where each begins."""

from __future__ import annotations

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.arrays.stored_array import SCRATCH_BYTES, StoredArray
from rnnscope.inputs.lengths_masks_states import LocatedArray
from rnnscope.model.cell import Array


def check_offsets(given: LocatedArray, steps: int) -> Array:
    """Offsets as int64 (sequence + 1,): whole numbers that rise from 0 to `steps`.

    Parameters
    ----------
    given : LocatedArray
    steps : int
        Length of the flat array.

    Raises
    ------
    InputError
        They are not; it names the first place.
    """
    array = given.array
    if array.dtype.kind not in "iu" or array.ndim != 1 or len(array) < 2:
        raise InputError(
            "Offsets must be integers, one more than there are sequences.",
            where=given.where,
            expected="integers (sequence + 1,): where each sequence begins, and the last one ends",
            found=f"shape {array.shape}, {array.dtype}",
        )
    offsets = array.astype(np.int64)
    falls = np.diff(offsets) < 0
    if falls.any():
        sequence = int(np.argmax(falls))
        raise InputError(
            "Offsets must not fall.",
            where=f"{given.where}, sequence {sequence}",
            expected=f"an end of {offsets[sequence]} or later",
            found=offsets[sequence + 1],
        )
    if offsets[0] != 0 or offsets[-1] != steps:
        raise InputError(
            "The offsets do not fit the input.",
            where=given.where,
            expected=f"from 0 to {steps}, the number of steps stored",
            found=f"from {offsets[0]} to {offsets[-1]}",
        )
    return offsets


def read_ragged(
    array: StoredArray, offsets: Array, sequences: slice, steps: slice, out: Array
) -> None:
    """Read some steps of some sequences, zeros past their lengths.

    Parameters
    ----------
    array : StoredArray (step, …)
    offsets : ndarray of int64 (sequence + 1,)
    sequences, steps : slice
        With both ends given, step 1.
    out : ndarray (sequence, timestep, …)
        It is filled.
    """
    lengths = np.diff(offsets)
    row = array.dtype.itemsize * int(np.prod(array.shape[1:]))
    first = sequences.start
    while first < sequences.stop:
        # Short sequences are read together: a call for each would cost more than its bytes.
        limit = offsets[first] + SCRATCH_BYTES // row
        stop = int(np.searchsorted(offsets, limit, side="right")) - 1
        stop = min(max(stop, first + 1), sequences.stop)
        place = out[first - sequences.start : stop - sequences.start]
        whole = steps.start == 0 and lengths[first:stop].max() <= steps.stop
        if stop - first > 1 and whole:
            flat = array.read((slice(int(offsets[first]), int(offsets[stop])),))
            for number, end in enumerate(offsets[first + 1 : stop + 1] - offsets[first]):
                length = lengths[first + number]
                place[number, :length] = flat[end - length : end]
                place[number, length:] = 0
        else:
            for number in range(stop - first):
                _read_one(array, offsets[first + number : first + number + 2], steps, place[number])
        first = stop


def _read_one(array: StoredArray, ends: Array, steps: slice, out: Array) -> None:
    start = min(int(ends[0]) + steps.start, int(ends[1]))
    stop = min(int(ends[0]) + steps.stop, int(ends[1]))
    if stop > start:
        array.read((slice(start, stop),), out[: stop - start])
    out[stop - start :] = 0
