"""Some sequences of an input, and what can be said of their values."""

from __future__ import annotations

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class InputBatch:
    """Some sequences of an input, all their timesteps or some.

    Attributes
    ----------
    values : ndarray (sequence, timestep, feature), or (sequence, timestep) for ids
        C-contiguous, in the file's own dtype, native byte order. It may be read-only.
    lengths : ndarray of int64 (sequence,) or None
        Valid steps a sequence, of all timesteps.
    mask : ndarray of bool (sequence, timestep) or None
        True at valid steps; given whenever lengths or a mask are. Of the timesteps that were read.
    initial : dict of str to dict of str to ndarray (sequence, width)
        State before the first step, by layer name (``""``: not named) and state name.
    input_steps : ndarray of int64 (sequence,) or None
        Steps up to and including the last one that is not all zero; None where only some timesteps
        were read (`last_input_step` gathers it).
    resets : ndarray of bool (sequence, timestep) or None
        True at steps before which the state returns to its initial value; as `mask`.
    """

    values: Array
    lengths: Array | None
    mask: Array | None
    initial: dict[str, dict[str, Array]]
    input_steps: Array | None
    resets: Array | None = None


def last_input_step(values: Array, first_step: int = 0, so_far: Array | None = None) -> Array:
    """Steps up to and including the last one that is not all zero.

    Timesteps may be cut into parts, given in any order: each call takes what was found so far.

    Parameters
    ----------
    values : ndarray (sequence, timestep, feature), or (sequence, timestep) for ids
    first_step : int
        The timestep of the whole input that `values` begin with.
    so_far : ndarray of int64 (sequence,), optional
        What the last call returned, for the same sequences; it is not changed.

    Returns
    -------
    ndarray of int64 (sequence,)
        0 where there is no such step.
    """
    found = np.zeros(len(values), np.int64) if so_far is None else so_far.copy()
    stop, block = values.shape[1], 1
    # From the end, because most sequences hold something in their last steps.
    rows = np.flatnonzero(found < first_step + stop)
    while stop > 0 and len(rows):
        start = max(0, stop - block)
        part = values[:, start:stop] if len(rows) == len(values) else values[rows, start:stop]
        used = (part != 0).reshape(len(rows), stop - start, -1).any(axis=2)
        last = first_step + stop - np.argmax(used[:, ::-1], axis=1)
        some = used.any(axis=1)
        found[rows[some]] = np.maximum(found[rows[some]], last[some])
        rows = rows[~some]
        rows = rows[found[rows] < first_step + start]
        stop, block = start, min(2 * block, 1024)
    return found
