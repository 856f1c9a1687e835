"""Steps before which the state of a sequence returns to its initial value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

ResetState = Literal["initial", "zeros"]
"""What a state returns to: what the run started from, or zeros whatever it started from."""


@dataclass(frozen=True, eq=False)
class Resets:
    """Where the state of some sequences returns to another value, as an engine is told.

    Attributes
    ----------
    steps : ndarray of bool (sequence, timestep)
        Before these steps; all of them are steps that count (`due_resets`).
    state : mapping of str to ndarray (sequence, width)
        What it returns to; zeros where a state is missing.
    """

    steps: Array
    state: Mapping[str, Array]


def due_resets(
    steps: Array, mask: Array | None, pending: Array | None = None
) -> tuple[Array, Array]:
    """Resets moved to the steps at which they show.

    A step that does not count changes no state, and a reset before it waits for the next step of
    its sequence that counts; past the last one it never comes to pass. So padding goes on holding
    the state of the last valid step.

    Parameters
    ----------
    steps : ndarray of bool (sequence, timestep)
        As given.
    mask : ndarray of bool (sequence, timestep) or None
        True at steps that count.
    pending : ndarray of bool (sequence,), optional
        Sequences with a reset that is waiting from the time before.

    Returns
    -------
    due : ndarray of bool (sequence, timestep)
        Only at steps that count.
    pending : ndarray of bool (sequence,)
        What still waits after the last step.
    """
    sequences, timesteps = steps.shape
    waiting = np.zeros(sequences, bool) if pending is None else pending
    if not timesteps:
        return steps, waiting
    if mask is None:
        due = steps.copy()
        due[:, 0] |= waiting
        return due, np.zeros(sequences, bool)
    so_far = np.cumsum(steps, axis=1) + waiting[:, None]
    # How many of them had come to pass by the last step that counted.
    done = np.maximum.accumulate(np.where(mask, so_far, 0), axis=1)
    before = np.concatenate([np.zeros((sequences, 1), done.dtype), done[:, :-1]], axis=1)
    return mask & (so_far > before), so_far[:, -1] > done[:, -1]
