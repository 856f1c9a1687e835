"""Differences of two blocks of values, and what is kept of them: sums, peaks, a histogram.

Nothing that is kept grows with the number of values, so that arrays of any size are measured in
slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf, log10
from typing import Any

import numpy as np

from rnnscope.comparing.spread import Spread
from rnnscope.comparing.tolerance import Tolerance
from rnnscope.model.cell import Array

EXACT_ULPS = 1024
"""Distances up to this have a bin each; above, sixteen bins an octave, so within 5 %."""

BINS_PER_OCTAVE = 16
OCTAVES = 54


@dataclass
class LargestValue:
    """The largest value seen so far, and where; -1 before the first."""

    value: float = -1.0
    place: tuple[int, ...] = ()

    def see(self, values: Array, corner: tuple[int, ...]) -> None:
        """Look at values that begin at `corner` of the whole array; NaN is passed over."""
        if not values.size:
            return
        at = int(np.argmax(values))
        value = float(values.reshape(-1)[at])
        if value > self.value:
            within = np.unravel_index(at, values.shape)
            self.value = value
            self.place = tuple(int(i) + start for i, start in zip(within, corner, strict=True))


class Histogram:
    """How many distances lie in each bin."""

    def __init__(self) -> None:
        self.counts = np.zeros(EXACT_ULPS + BINS_PER_OCTAVE * OCTAVES + 1, np.int64)

    def add(self, distances: Array) -> None:
        """Count distances, uint64."""
        size = len(self.counts)
        if int(distances.max(initial=0)) < EXACT_ULPS:
            self.counts += np.bincount(distances.view(np.int64), minlength=size)
            return
        small = distances < EXACT_ULPS
        self.counts += np.bincount(distances[small].view(np.int64), minlength=size)
        if not small.all():
            logs = np.log2(distances[~small].astype(np.float64)) - np.log2(EXACT_ULPS)
            bins = EXACT_ULPS + np.floor(logs * BINS_PER_OCTAVE).astype(np.int64)
            self.counts += np.bincount(np.minimum(bins, size - 1), minlength=size)

    def quantile(self, share: float) -> int:
        """The distance that this share of the values does not exceed; bins count as their start."""
        total = int(self.counts.sum())
        if not total:
            return 0
        at = int(np.searchsorted(np.cumsum(self.counts), share * total))
        if at < EXACT_ULPS:
            return at
        return int(EXACT_ULPS * 2 ** ((at - EXACT_ULPS) / BINS_PER_OCTAVE))


def ulp_distances(a: Array, b: Array, dtype: np.dtype[Any]) -> Array:
    """Representable numbers of `dtype` between finite values: uint64.

    References
    ----------
    Floats of one sign are ordered as their bits are, read as integers.
    """
    whole = {2: np.int16, 4: np.int32, 8: np.int64}[dtype.itemsize]
    lowest = np.int64(-(2 ** (8 * dtype.itemsize - 1)))
    keys = []
    for values in (a, b):
        bits = np.ascontiguousarray(values, dtype).view(whole).astype(np.int64)
        # Negative floats count down from -0, which is the same number as 0.
        np.subtract(lowest, bits, out=bits, where=bits < 0)
        keys.append(bits)
    if dtype.itemsize < 8:
        apart = np.subtract(keys[0], keys[1], out=keys[0])
        return np.abs(apart, out=apart).view(np.uint64)
    # The true distance fits uint64 even where the difference of int64 would not.
    high, low = np.maximum(*keys), np.minimum(*keys)
    distance: Array = high.view(np.uint64) - low.view(np.uint64)
    return distance


class Measure:
    """Everything that is known of the differences of one pair of arrays.

    Parameters
    ----------
    tolerance : Tolerance
    ulp_dtype : dtype
        What ULP are counted in.
    equal_nan : bool
    """

    def __init__(self, tolerance: Tolerance, ulp_dtype: np.dtype[Any], *, equal_nan: bool) -> None:
        self.tolerance, self.ulp_dtype, self.equal_nan = tolerance, ulp_dtype, equal_nan
        self.compared = self.exceed = self.nonfinite_a = self.nonfinite_b = 0
        self.finite = 0
        self.sum_abs = 0.0
        self.max_abs, self.max_rel, self.needed = LargestValue(), LargestValue(), LargestValue()
        self.worst_is_nonfinite = False
        self.ulp_max = 0
        self.histogram = Histogram()
        self.spread = Spread()

    def add(
        self, a: Array, b: Array, valid: Array | None, corner: tuple[int, ...]
    ) -> tuple[Array, Array] | None:
        """Measure two blocks.

        Parameters
        ----------
        a, b : ndarray
            Of one shape.
        valid : ndarray of bool or None
            Which values count, of a shape that broadcasts to theirs.
        corner : tuple of int
            Where the blocks begin in the whole arrays.

        Returns
        -------
        (differences, beyond) : two ndarrays, or None
            |a - b| as float64, 0 where nothing counts, and where it exceeds the tolerance; None if
            all values that count are the same.
        """
        same = a == b
        both = np.isfinite(a)
        finite_b = np.isfinite(b)
        number = a.size
        if valid is not None:
            counted = np.broadcast_to(valid, a.shape)
            number = int(np.count_nonzero(counted))
            same |= ~counted
        self.compared += number
        if not (both.all() and finite_b.all()):
            self._count_nonfinite(both, finite_b, True if valid is None else counted)
            if self.equal_nan:
                same |= np.isnan(a) & np.isnan(b)
            both &= finite_b
        if valid is not None:
            both &= counted
        self.finite += int(np.count_nonzero(both))
        if same.all():
            self.histogram.counts[0] += int(np.count_nonzero(both))
            self.spread.add_same(a, both)
            return None
        return self._add_different(a, b, same, both, corner)

    def _count_nonfinite(self, finite_a: Array, finite_b: Array, counted: Array | bool) -> None:
        for name, finite in (("nonfinite_a", finite_a), ("nonfinite_b", finite_b)):
            if not finite.all():
                setattr(self, name, getattr(self, name) + int(np.count_nonzero(~finite & counted)))

    def _add_different(
        self, a: Array, b: Array, same: Array, both: Array, corner: tuple[int, ...]
    ) -> tuple[Array, Array]:
        whole = bool(both.all())
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            # float64 holds every difference of float32 values that matters here.
            difference = np.subtract(a, b, dtype=np.float64)
            np.abs(difference, out=difference)
            difference[same] = 0
            scale = np.maximum(np.abs(a), np.abs(b)).astype(np.float64)
            measured = difference if whole else np.where(both, difference, 0)
            self.spread.add(a, b, measured, both)
            self.sum_abs += float(measured.sum())
            self.max_abs.see(measured, corner)
            # By itself 0 / 0 would be NaN.
            self.max_rel.see(np.divide(measured, scale, out=np.zeros_like(scale),
                                       where=measured > 0), corner)  # fmt: skip
            scale *= self.tolerance.rtol
            needed = np.subtract(difference, scale, out=scale)
            self.needed.see(needed if whole else np.where(both, needed, 0), corner)
            beyond = self._beyond(a, b, needed, same, both, whole=whole)
        self.exceed += int(np.count_nonzero(beyond))
        self.worst_is_nonfinite |= not whole and bool((~same & ~both).any())
        return difference, beyond

    def _beyond(
        self, a: Array, b: Array, needed: Array, same: Array, both: Array, *, whole: bool
    ) -> Array:
        """Where the tolerance is exceeded; `needed` is the atol that each value would take."""
        ulps = None
        if self.ulp_dtype.kind == "f":
            ulps = ulp_distances(a, b, self.ulp_dtype)
            counted = ulps if whole else ulps[both]
            self.histogram.add(counted.reshape(-1))
            self.ulp_max = max(self.ulp_max, int(counted.max(initial=0)))
        if self.tolerance.ulp is not None and ulps is not None:
            within = ulps <= np.uint64(self.tolerance.ulp)
        else:
            # NaN compares False, so that it is beyond.
            within = needed <= self.tolerance.atol
        if not whole:
            within &= both
        beyond: Array = ~(within | same)
        return beyond

    def mean_abs(self) -> float:
        return self.sum_abs / self.finite if self.finite else 0.0

    def passes_at(self) -> str:
        """The smallest tolerance at which it would pass; empty where none would."""
        if self.worst_is_nonfinite:
            return ""
        if self.tolerance.ulp is not None:
            return f"{self.ulp_max} ulp"
        needed = round_up(max(self.needed.value, 0.0))
        rtol = f", rtol {self.tolerance.rtol:g}" if self.tolerance.rtol else ""
        return f"atol {needed:g}{rtol}"


def round_up(value: float, digits: int = 3) -> float:
    """The next number of so few digits that is not smaller."""
    if not 0 < value < inf:
        return value
    step = 10.0 ** (floor(log10(value)) - digits + 1)
    rounded = float(f"{value:.{digits - 1}e}")
    return rounded if rounded >= value else float(f"{rounded + step:.{digits - 1}e}")
