"""Numbers with which many setups come nearest to a view: damped least squares, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.readings.deviations import Unknown, View
from rnnscope.explaining.searching.residuals import evaluated
from rnnscope.model.cell import Array

MOST_STEPS = 20

SETTLED_AFTER, SETTLED = 3, 0.9
"""Turns after which numbers are given up that hardly come nearer, and what counts as hardly."""

DAMPINGS = (0.01, 1.0, 100.0)
"""Factors of the last damping that are tried at once."""


def least_squares(
    setups: Sequence[Setup],
    unknown: Unknown,
    view: View,
    start: Array,
    limit: float,
    *,
    whole: bool,
    steps: int | None = None,
) -> Array | None:
    """Numbers by Levenberg and Marquardt's method, (setup, number); NaN where none fit.

    `steps` is as of `residuals`.

    Where a first evaluation shows that what the unknown does not reach is beyond the limit, it is
    given up at once.
    """
    numbers = start.copy()
    size = numbers.shape[1]
    damping = np.full(len(setups), 1e-3)
    current = evaluated(setups, unknown, view, numbers, steps)
    if current is None:
        return None
    going = np.ones(len(setups), bool)
    hopeless = np.zeros(len(setups), bool)
    for turn in range(MOST_STEPS):
        at = np.flatnonzero(going)
        if not len(at):
            break
        moves = 1e-6 * np.maximum(np.abs(numbers[at]), 1e-2)
        nearby = numbers[at][:, None] + np.eye(size)[None] * moves[:, :, None]
        around = evaluated(
            [setups[int(k)] for k in np.repeat(at, size)], unknown, view,
            nearby.reshape(-1, size), steps,
        )  # fmt: skip
        if around is None:
            return None
        slope = (around.reshape(len(at), size, -1) - current[at][:, None]) / moves[:, :, None]
        if turn == 0:
            reached = (np.abs(slope) > 0).any(axis=1)
            beyond = np.where(reached, 0.0, np.abs(current[at])).max(axis=1, initial=0.0) > limit
            hopeless[at[beyond]] = True
            beyond |= ~reached.any(axis=1)  # the steps at hand do not show it
            going[at[beyond]] = False
            at, slope = at[~beyond], slope[~beyond]
            if not len(at):
                break
        with np.errstate(all="ignore"):
            square = slope @ slope.transpose(0, 2, 1)
            gradient = (slope @ current[at][:, :, None])[:, :, 0]
        diagonal = np.maximum(np.einsum("kii->ki", square), 1e-12)
        trials = np.stack(
            [
                numbers[at] - _solved(square, diagonal * (factor * damping[at])[:, None], gradient)
                for factor in DAMPINGS
            ],
            axis=1,
        )
        tried = evaluated(
            [setups[int(k)] for k in np.repeat(at, len(DAMPINGS))], unknown, view,
            trials.reshape(-1, size), steps,
        )  # fmt: skip
        if tried is None:
            return None
        tried = tried.reshape(len(at), len(DAMPINGS), -1)
        sums = np.square(tried).sum(axis=2)
        best = sums.argmin(axis=1)
        rows = np.arange(len(at))
        before = np.square(current[at]).sum(axis=1)
        better = sums[rows, best] < before * (1 - 1e-6)
        if turn >= SETTLED_AFTER:
            far = np.abs(current[at]).max(axis=1, initial=0.0) > 10 * limit
            better &= ~(far & (sums[rows, best] > before * SETTLED))
        going[at[~better]] = False
        moved, rows, best = at[better], rows[better], best[better]
        numbers[moved] = trials[rows, best]
        current[moved] = tried[rows, best]
        damping[moved] = np.clip(damping[moved] * np.array(DAMPINGS)[best], 1e-9, 1e6)
        going[moved] = np.abs(current[moved]).max(axis=1, initial=0.0) > limit * 0.1
    fits = (np.abs(current).max(axis=1, initial=0.0) <= limit) & ~hopeless
    if whole:
        fits &= _matters(setups, unknown, view, numbers, current, limit)
    numbers[~fits] = np.nan
    kept: Array = numbers
    return kept


def _matters(
    setups: Sequence[Setup],
    unknown: Unknown,
    view: View,
    numbers: Array,
    current: Array,
    limit: float,
) -> Array:
    """Whether another first number would be seen: a bound that nothing reaches is no bound."""
    other = numbers.copy()
    other[:, 0] += np.maximum(np.abs(other[:, 0]) * 0.02, 1e-3)
    found = evaluated(setups, unknown, view, other)
    if found is None:
        return np.ones(len(setups), bool)
    seen: Array = np.abs(found - current).max(axis=1, initial=0.0) > min(limit, 1e-6)
    return seen


def _solved(square: Array, added: Array, gradient: Array) -> Array:
    """The step of each of a stack; none where a system is no longer of finite numbers."""
    identity = np.eye(square.shape[-1])
    with np.errstate(all="ignore"):
        system = square + added[:, :, None] * identity
        bad = ~np.isfinite(system.sum(axis=(1, 2)) + gradient.sum(axis=1))
        system[bad], gradient = identity, np.where(bad[:, None], 0.0, gradient)
        try:
            step: Array = np.linalg.solve(system, gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            return np.zeros_like(gradient)
    return np.where(np.isfinite(step), step, 0.0)
