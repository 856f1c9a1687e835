"""RANKINGS: which units of a view are worth looking at first."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Protocol

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.model.cell import Array
from rnnscope.seeing.state_view import StateView

SATURATED = 0.1
"""How near to an end of its range a value counts as saturated: below 0.1 and above 0.9 for a gate
(Karpathy et al. 2015, section 4.2)."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Units of a view, the first of them the one to look at.

    Attributes
    ----------
    by : str
        A key of `RANKINGS`.
    units : ndarray of int64
        Their numbers, by falling score; equal ones by number.
    places : ndarray of int64
        Their places in the view, in the same order.
    scores : ndarray of float64
        NaN, for a unit with no valid step or a value that is no number, comes last.
    """

    by: str
    units: Array
    places: Array
    scores: Array


class Score(Protocol):
    """What is kept of the steps seen so far; a number for each unit at the end."""

    def see(self, values: Array, follows: Array) -> None:
        """Take in valid steps.

        Parameters
        ----------
        values : ndarray of float64 (step, unit)
        follows : ndarray of bool (step,)
            Whether the step comes right after the one before it.
        """
        ...

    def result(self) -> Array: ...


class Variance:
    """The variance over valid steps, merged block by block (Chan, Golub and LeVeque 1983)."""

    def __init__(self, units: int) -> None:
        self._count = 0
        self._mean, self._squares = np.zeros(units), np.zeros(units)

    def see(self, values: Array, follows: Array) -> None:  # noqa: ARG002  # order is no matter
        count = len(values)
        if not count:
            return
        mean = values.mean(axis=0)
        apart = mean - self._mean
        total = self._count + count
        self._squares += np.square(values - mean).sum(axis=0)
        self._squares += np.square(apart) * (self._count * count / total)
        self._mean += apart * (count / total)
        self._count = total

    def result(self) -> Array:
        return self._squares / self._count if self._count else np.full_like(self._mean, np.nan)


class Change:
    """The mean absolute difference from one valid step to the next."""

    def __init__(self, units: int) -> None:
        self._count, self._sum, self._before = 0, np.zeros(units), np.zeros((1, units))

    def see(self, values: Array, follows: Array) -> None:
        if not len(values):
            return
        changes = np.abs(np.diff(np.concatenate([self._before, values]), axis=0))[follows]
        self._sum += changes.sum(axis=0)
        self._count += len(changes)
        self._before = values[-1:]

    def result(self) -> Array:
        return self._sum / self._count if self._count else np.full_like(self._sum, np.nan)


class Saturation:
    """The fractions of valid steps below and above two bounds.

    Attributes
    ----------
    count : int
        Steps seen so far.
    """

    def __init__(self, units: int, bounds: tuple[float, float]) -> None:
        self.count, self._bounds = 0, bounds
        self._left, self._right = np.zeros(units), np.zeros(units)
        self._unknown = np.zeros(units, np.bool_)

    def see(self, values: Array, follows: Array) -> None:  # noqa: ARG002  # order is no matter
        self._left += np.count_nonzero(values < self._bounds[0], axis=0)
        self._right += np.count_nonzero(values > self._bounds[1], axis=0)
        self._unknown |= np.isnan(values).any(axis=0)
        self.count += len(values)

    def fractions(self) -> tuple[Array, Array]:
        """The shares of steps at the left end, and at the right."""
        shares = np.stack([self._left, self._right]) / max(1, self.count)
        shares[:, self._unknown | (not self.count)] = np.nan
        return shares[0], shares[1]

    def result(self) -> Array:
        left, right = self.fractions()
        return left + right


RANKINGS: dict[str, Callable[[StateView], Score]] = {
    "variance": lambda view: Variance(len(view.units)),
    "saturation": lambda view: Saturation(len(view.units), saturation_bounds(view)),
    "change": lambda view: Change(len(view.units)),
}
"""What units can be ordered by."""


def rank_units(view: StateView, by: str, sequences: slice = slice(None)) -> Ranking:
    """The units of a view by a score over the valid steps of some sequences, the highest first.

    Read in slices of time: memory does not grow with sequences or steps.

    Raises
    ------
    OptionError
        There is no such ranking, or the array has no ends at which it could saturate.
    """
    if by not in RANKINGS:
        near = get_close_matches(by, RANKINGS, n=1)
        raise OptionError(
            "Units cannot be ranked by this.",
            where=spell("rank", by),
            expected=", ".join(RANKINGS),
            hint=f"did you mean {near[0]}?" if near else None,
        )
    scores = measure_units(view, RANKINGS[by](view), sequences).result()
    order = np.argsort(np.where(np.isnan(scores), np.inf, -scores), kind="stable")
    return Ranking(by, view.units[order], order, scores[order])


def measure_units(view: StateView, score: Score, sequences: slice = slice(None)) -> Score:
    """Show a score the valid steps of some sequences; the score, for what it has to say."""
    for sequence in range(*sequences.indices(view.sequences)):
        valid = view.valid(sequence)
        before = -2  # the last valid step so far
        for part, values in view.blocks(sequence):
            at = part.start + np.flatnonzero(valid[part])
            follows = np.diff(at, prepend=before) == 1
            score.see(values[at - part.start].astype(np.float64), follows)
            before = int(at[-1]) if len(at) else before
    return score


def saturation_bounds(view: StateView) -> tuple[float, float]:
    """Below and above which a value is saturated.

    A gate lies between 0 and 1. A candidate, m and outputs are held against the bound of |m|; c by
    what tanh makes of it.

    Raises
    ------
    OptionError
        The array is bounded by nothing that the trace knows.
    """
    if view.is_sigmoid_gate:
        return SATURATED, 1 - SATURATED
    bound = view.layer.known_facts.m_bound
    if bound is None or view.name == "inputs":
        raise OptionError(
            f"{view.name} of this layer has no ends at which it could saturate.",
            where=f"{view.trace.path}: {view.layer.name}",
            expected="an activation that is bounded, such as tanh",
            hint=f"rank by variance or change, or look at a gate: {spell('state', 'f')}",
        )
    if view.name == "c":
        edge = float(np.arctanh(1 - SATURATED))
    else:
        edge = (1 - SATURATED) * (1.0 if view.gate else bound)
    return -edge, edge
