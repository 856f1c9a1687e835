"""What is left of a pair, and how its numbers are held against each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnscope.comparing.reduction import StartFrom
from rnnscope.comparing.result import SideName
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerStates
from rnnscope.reducing.processed import State
from rnnscope.states.state_set import FINAL, GATES, INITIAL

SHARE = 0.01
"""How far numbers of a case may be from those that were compared, as a part of the difference."""


@dataclass(frozen=True, eq=False)
class Kept:
    """The steps that are left, and where they part.

    Attributes
    ----------
    positions : tuple of int
        Of the processed sequence.
    start : State
    start_from : StartFrom
    key : str
        The array that differs.
    unit : int
        The place of the unit that differs most in its last step, along the compared units.
    units : int
        How many differ there.
    values : mapping of SideName to mapping of str to ndarray (step or 1, unit)
        What each side has, by array.
    notes : tuple of str
    """

    positions: tuple[int, ...]
    start: State
    start_from: StartFrom
    key: str
    unit: int
    units: int
    values: Mapping[SideName, Mapping[str, Array]]
    notes: tuple[str, ...] = ()


def leave_out_repeats(values: Mapping[SideName, dict[str, Array]]) -> None:
    """Drop outputs that are m on both sides."""
    if all(
        {"m", "outputs"} <= arrays.keys()
        and np.array_equal(arrays["m"], arrays["outputs"], equal_nan=True)
        for arrays in values.values()
    ):
        for arrays in values.values():
            del arrays["outputs"]


def computed(run: LayerStates, key: str) -> Array:
    """An array of a run of one sequence, (step, unit); of final states one step."""
    if key.startswith(FINAL):
        last: Array = run.states[key.removeprefix(FINAL)][0][-1:]
        return last
    if key.startswith(INITIAL):
        return run.initial[key.removeprefix(INITIAL)]
    if key.startswith(GATES):
        gate: Array = run.gates[key.removeprefix(GATES)][0]
        return gate
    values: Array = (run.outputs if key == "outputs" else run.states[key])[0]
    return values


def reproduces(value: Array, kept: Kept, side: SideName) -> bool:
    """Whether a recomputed number is a side's own, but for a small part of the difference."""
    a, b = (kept.values[one][kept.key][-1, kept.unit] for one in ("A", "B"))
    own = a if side == "A" else b
    if not np.isfinite(own) or not np.isfinite(value):
        return bool(np.array_equal(own, value, equal_nan=True))
    gap = abs(float(a) - float(b))
    return not np.isfinite(gap) or abs(float(value) - float(own)) <= SHARE * gap


def gaps_of(a: Array, b: Array) -> Array:
    """|a - b| in float64; infinite where there is no difference of numbers."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(a.astype(np.float64) - b.astype(np.float64))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isfinite(gaps), gaps, np.inf))


def largest_gap(a: Array, b: Array) -> float:
    """The largest of `gaps_of`; 0 where there are no values."""
    return float(gaps_of(a, b).max(initial=0.0))


def is_whole(names: Array, width: int) -> bool:
    """Whether units are all that a layer has, in their order."""
    return len(names) == width and bool((names == np.arange(width)).all())
