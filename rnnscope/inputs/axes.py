"""From an array as a file holds it to (sequence, timestep, …): which axis is which."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rnnscope.files.arrays.stored_array import StoredArray, pieces
from rnnscope.model.cell import Array

Layout = Literal["sequence first", "time major", "one sequence", "ragged"]
"""Which axis of the stored array is which: its first two are (sequence, timestep), (timestep,
sequence), it has no sequence axis, or all sequences lie one after another on one axis."""


def read_block(
    array: StoredArray, layout: Layout, sequences: slice, steps: slice, out: Array
) -> None:
    """Read some steps of some sequences.

    Parameters
    ----------
    array : StoredArray
    layout : Layout
    sequences, steps : slice
        With both ends given, step 1, inside the array.
    out : ndarray (sequence, timestep, …)
        C-contiguous, of the array's dtype; it is filled.
    """
    if not out.size:
        return
    if layout == "sequence first":
        array.read((sequences, steps), out)
    elif layout == "one sequence":
        array.read((steps,), out[0])
    else:
        # Turned piece by piece, so that there are never two whole blocks.
        for some in pieces(out.shape[1], out[:, :1].nbytes):
            rows = slice(steps.start + some.start, steps.start + some.stop)
            np.copyto(out[:, some], array.read((rows, sequences)).swapaxes(0, 1))
