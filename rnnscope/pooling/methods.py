"""The ways to pool: states of all timesteps in, one value a unit out.

Every function takes ``values`` (sequence, timestep, unit) and ``valid``, bool (sequence,
timestep), and looks at valid steps alone: whatever stands elsewhere, NaN and infinity too, has no
influence. Sums are taken in float64, for float32 as well: over some thousand steps float32 would
lose digits that the states have.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnscope.checks.steps import first_valid, valid_end
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(frozen=True)
class Pooling:
    """One entry of POOLINGS.

    Attributes
    ----------
    name : str
        What ``--method`` takes.
    title : str
        One line for people.
    function : callable
        ``function(values, valid) -> ndarray (sequence, unit)``.
    empty : float
        What a sequence without valid steps gets: never another row's value.
    ignoring : str
        What goes wrong where the padding is ignored.
    unharmed : str
        Why ignoring it did no harm, where it did none.
    opposite : str
        For one that takes a single step: what takes the step from the other end. A backward layer
        ends where its input begins.
    gives_steps : bool
        True if the result is numbers of timesteps (int64), not values.
    """

    name: str
    title: str
    function: Callable[[Array, Array], Array]
    empty: float
    ignoring: str
    unharmed: str
    opposite: str = ""
    gives_steps: bool = False

    def __call__(self, values: Array, valid: Array) -> Array:
        """Pool; int64 for steps, else float64 or, for methods that only choose, the values' dtype.

        Parameters
        ----------
        values : ndarray of float (sequence, timestep, unit)
        valid : ndarray of bool (sequence, timestep)

        Returns
        -------
        ndarray (sequence, unit)
        """
        rows = np.flatnonzero(valid.any(axis=1))
        if len(rows) and len(rows) == len(valid):
            return self.function(values, valid)
        dtype = np.int64 if self.gives_steps else np.float64
        result = np.full((len(values), values.shape[2]), self.empty, dtype)
        if len(rows):
            result[rows] = self.function(values[rows], valid[rows])
        return result


def _sum(values: Array, valid: Array) -> Array:
    # An infinity beside its opposite, or a NaN, is the states' own: the sum says so.
    with np.errstate(invalid="ignore"):
        total: Array = values.sum(axis=1, dtype=np.float64, where=valid[:, :, None])
    return total


def _mean(values: Array, valid: Array) -> Array:
    count = np.count_nonzero(valid, axis=1)
    mean: Array = _sum(values, valid) / count[:, None]
    return mean


def _max(values: Array, valid: Array) -> Array:
    largest: Array = values.max(axis=1, where=valid[:, :, None], initial=-np.inf)
    return largest


def _argmax(values: Array, valid: Array) -> Array:
    """The first timestep at which the largest value stands; NaN is larger than all."""
    at = np.where(valid[:, :, None], values, -np.inf).argmax(axis=1)
    # Where all valid values are -inf, a masked step was as large.
    rows = np.arange(len(at))[:, None]
    steps: Array = np.where(valid[rows, at], at, first_valid(valid)[:, None]).astype(np.int64)
    return steps


def _last(values: Array, valid: Array) -> Array:
    picked: Array = values[np.arange(len(values)), valid_end(valid) - 1]
    return picked


def _first(values: Array, valid: Array) -> Array:
    picked: Array = values[np.arange(len(values)), first_valid(valid)]
    return picked


POOLINGS: dict[str, Pooling] = {
    entry.name: entry
    for entry in (
        Pooling(
            "sum",
            "the sum over the valid steps",
            _sum,
            empty=0,
            ignoring="adds what stands past the length: a carried state, once for every step",
            unharmed="right only because zeros stand past the length",
        ),
        Pooling(
            "mean",
            "the sum divided by the number of valid steps",
            _mean,
            empty=np.nan,
            ignoring="divides by all timesteps, and adds what stands past the length",
            unharmed="right only because the steps past the length have the same mean",
        ),
        Pooling(
            "max",
            "the largest value of each unit",
            _max,
            empty=np.nan,
            ignoring="sees what stands past the length; a zero there beats every negative value",
            unharmed="right only because nothing past the length is larger",
        ),
        Pooling(
            "argmax",
            "the timestep of the largest value, the first of several",
            _argmax,
            empty=-1,
            ignoring="names steps past the length",
            unharmed="right only because nothing past the length is larger",
            gives_steps=True,
        ),
        Pooling(
            "last",
            "the last valid step",
            _last,
            empty=np.nan,
            ignoring="reads the last timestep of the array, past the end of shorter sequences",
            unharmed="right only because the last value is carried to the end of the array",
            opposite="first",
        ),
        Pooling(
            "first",
            "the first valid step",
            _first,
            empty=np.nan,
            ignoring="reads timestep 0, before the first valid step",
            unharmed="right only because no padding stands before the first valid step",
            opposite="last",
        ),
    )
}
"""Every way to pool, by the name that ``--method`` takes."""
