"""Whether an answer is right, and where it is first wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.conforming.case import ARRAYS, Answer, Case, required
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

EPS_OF_A_SUM, EPS_OF_A_STEP = 12.0, 2.0
"""Of the tolerance, in rounding errors of the case's dtype: once, and for every step.

Two right engines sum in another order and approximate tanh otherwise, and what one step rounded the
next one carries on. The largest of any engine that computes right is less than half of this
(CONFORMING.md has the figures); the smallest fault that was found is 13 times of it, in float16.
"""

SMALLEST_SCALE = 1.0
"""Errors are measured by the largest value of the array, but by 1 where all are smaller: gates
are sums of numbers about that large, and what a small state is rounded by is theirs."""


def tolerance(case: Case) -> float:
    """The largest right difference, as a part of the largest value of an array."""
    return float(np.finfo(case.dtype).eps) * (EPS_OF_A_SUM + EPS_OF_A_STEP * case.steps)


@dataclass(frozen=True)
class Place:
    """The first wrong value: of the first step that is wrong, in the order of processing.

    Attributes
    ----------
    array : str
        Of `rnnscope.conforming.case.ARRAYS`.
    direction : str
        ``"forward"`` or ``"backward"``.
    sequence : int
    step : int or None
        In the order of the input; None in a final state.
    unit : int
    expected, found : float
    """

    array: str
    direction: str
    sequence: int
    step: int | None
    unit: int
    expected: float
    found: float


@dataclass(frozen=True)
class Judgement:
    """What an answer is worth.

    Attributes
    ----------
    right : bool
    error : float
        The largest difference as a part of the tolerance: up to 1 is right. Infinite for NaN.
    difference : float
        The same difference itself.
    first : Place or None
        Where it is first wrong.
    wrong_part : str
        How far the fault reaches in the array of `first`, in words.
    wrong_in_step : str
        How far it reaches in the step of `first`; empty for final states.
    not_given : tuple of str
        Arrays that were not given and need not be.
    missing : tuple of str
        Arrays that were not given and have to be.
    """

    right: bool
    error: float = 0.0
    difference: float = 0.0
    first: Place | None = None
    wrong_part: str = ""
    wrong_in_step: str = ""
    not_given: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def judge(case: Case, truth: Answer, answer: Answer) -> Judgement:
    """Hold an answer of the right shapes to the truth.

    Parameters
    ----------
    case : Case
    truth : tuple of dict of str to ndarray
        As of `rnnscope.conforming.expected.expected`.
    answer : tuple of dict of str to ndarray
        By direction; arrays that are not given are left out.
    """
    limit = tolerance(case)
    worst, difference = 0.0, 0.0
    first, wrong_part, wrong_in_step = None, "", ""
    for name in ARRAYS:
        for number, (right, given) in enumerate(zip(truth, answer, strict=True)):
            if name not in right or name not in given or not right[name].size:
                continue
            bound = limit * max(SMALLEST_SCALE, float(np.abs(right[name]).max()))
            with np.errstate(invalid="ignore"):
                off = np.abs(given[name].astype(np.float64) - right[name])
            off[np.isnan(off)] = np.inf
            if float(off.max()) / bound > worst:
                worst, difference = float(off.max()) / bound, float(off.max())
            if first is None and not (off <= bound).all():
                first = _first(case, name, number, off > bound, right[name], given[name])
                wrong_part = reach(off > bound)
                if first.step is not None:
                    wrong_in_step = reach((off > bound)[:, first.step])
    wanted = [name for name in ARRAYS if name in truth[0]]
    absent = [name for name in wanted if any(name not in given for given in answer)]
    missing = tuple(name for name in absent if name in required(case))
    return Judgement(
        right=first is None and not missing,
        error=worst,
        difference=difference,
        first=first,
        wrong_part=wrong_part,
        wrong_in_step=wrong_in_step,
        not_given=tuple(name for name in absent if name not in missing),
        missing=missing,
    )


def _first(case: Case, name: str, number: int, wrong: Array, right: Array, given: Array) -> Place:
    backward = case.layers[number].backward.value
    places: Any = np.argwhere(wrong)
    step = None
    if wrong.ndim == 3:
        # The fault that is processed first is nearest to its cause; all others may follow of it.
        steps = sorted(set(places[:, 1].tolist()), reverse=backward)
        step = steps[0]
        places = places[places[:, 1] == step]
    at = tuple(int(index) for index in places[0])
    return Place(
        array=name,
        direction="backward" if backward else "forward",
        sequence=at[0],
        step=step,
        unit=at[-1],
        expected=float(right[at]),
        found=float(given[at]),
    )


def reach(wrong: Array) -> str:
    """Which sequences, steps and units a fault touches: ``"in units 128 to 511"``."""
    names = ("sequence", "step", "unit") if wrong.ndim == 3 else ("sequence", "unit")
    parts = []
    for axis, name in enumerate(names):
        others = tuple(other for other in range(wrong.ndim) if other != axis)
        touched = np.flatnonzero(wrong.any(axis=others))
        if len(touched) < wrong.shape[axis]:
            parts.append(f"{name}{'s' if len(touched) > 1 else ''} {_numbers(touched)}")
    return f"in {', '.join(parts)}" if parts else "everywhere"


def _numbers(indices: Array) -> str:
    first, last = int(indices[0]), int(indices[-1])
    if last - first + 1 == len(indices):
        return str(first) if first == last else f"{first} to {last}"
    words = [str(index) for index in indices[:6].tolist()]
    return ", ".join(words) + (", …" if len(indices) > 6 else "")
