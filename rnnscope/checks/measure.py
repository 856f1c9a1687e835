"""Largest values and largest differences, with their place, in little memory.

Two values are the same here if they compare equal or are both NaN. That is bit equality but for
the sign of zero and the payload of a NaN, which no framework promises to keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isnan

import numpy as np

from rnnscope.checks.interface import CheckedSlice, Finding, StatePlace, Status
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerSlice

BLOCK_VALUES = 1 << 16
"""Values compared at a time: half a MB in float64, so that some copies of them fit a cache."""


@dataclass(frozen=True)
class Peak:
    """The largest of some absolute values, and where it is. NaN is larger than everything."""

    value: float = 0.0
    place: StatePlace | None = None

    def __or__(self, other: Peak) -> Peak:
        return other if _rank(other.value) > _rank(self.value) else self

    def without_timestep(self) -> Peak:
        """The same for arrays that have no time, (sequence, unit)."""
        if self.place is None:
            return self
        return Peak(self.value, StatePlace(self.place.sequence, None, self.place.unit))


def largest_by_name(peaks: Iterable[tuple[str, Peak]], first: str = "") -> tuple[Peak, str]:
    """The largest of several peaks, and its name: `first` where all are zero."""
    largest, worst = Peak(), first
    for name, peak_here in peaks:
        if (largest | peak_here) is not largest:
            largest, worst = peak_here, name
    return largest, worst


def _rank(value: float) -> float:
    return float("inf") if isnan(value) else value


def blocks(count: int, width: int) -> Iterator[slice]:
    """Slices that together cover ``range(count)``, each of about `BLOCK_VALUES` values."""
    step = max(1, BLOCK_VALUES // max(1, width))
    return (slice(start, start + step) for start in range(0, count, step))


def differences(a: Array, b: Array | float) -> Array:
    """|a - b|, with 0 where both are the same (equal infinities, NaN beside NaN)."""
    with np.errstate(invalid="ignore", over="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        result: Array = np.where(same, 0, np.abs(np.subtract(a, b)))
    return result


def peak(values: Array, layer: LayerSlice, rows: Array, times: Array) -> Peak:
    """The largest of non-negative values (k, unit) that belong to the given rows and times."""
    if not values.size:
        return Peak()
    # argmax stops at the first NaN, which is what should win.
    k, unit = np.unravel_index(int(values.argmax()), values.shape)
    value = float(values[k, unit])
    if value == 0:
        return Peak()
    place = StatePlace(layer.first_sequence + int(rows[k]), int(times[k]), int(unit))
    return Peak(value, place)


def judge(
    check: str,
    layer: CheckedSlice,
    largest: Peak,
    limit: float,
    messages: tuple[str, str],
    bad: Status = "fail",
) -> Finding:
    """A finding that passes if what was found is within the limit; NaN never is."""
    good = largest.value <= limit
    return Finding(
        check=check,
        layer=layer.facts.name,
        status="pass" if good else bad,
        message=messages[0] if good else messages[1],
        measured=largest.value,
        limit=limit,
        place=largest.place,
    )


def taste(check: str, layer: CheckedSlice, default: float) -> tuple[float, Status]:
    """The limit of a check that the user may set, and what happens beyond it.

    A default of ours is a hint, and warns; a limit that was set is a promise.
    """
    limits = {} if layer.context is None else layer.context.limits
    return (limits[check], "fail") if check in limits else (default, "warn")


def rounding(check: str, layer: CheckedSlice, factor: float, values: Array) -> float:
    """The limit of a check that allows for rounding: what the user sets, else by the dtype.

    ``factor`` times the epsilon of the values' dtype, times the largest of them, or 1.
    """
    limits = {} if layer.context is None else layer.context.limits
    if check in limits:
        return limits[check]
    with np.errstate(invalid="ignore"):
        largest = float(np.abs(values).max(initial=0))
    scale = largest if np.isfinite(largest) else 0.0
    return factor * float(np.finfo(values.dtype).eps) * max(1.0, scale)


def skip(check: str, layer: CheckedSlice, message: str) -> Finding:
    """A finding that says why the check does not apply."""
    return Finding(check, layer.facts.name, "skip", message)
