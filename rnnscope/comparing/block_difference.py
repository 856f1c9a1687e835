"""What is measured in a block of two arrays, in numpy: the reference of the compiled pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.comparing.histogram import Histogram, ulp_distances
from rnnscope.comparing.tolerance import Tolerance
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(frozen=True)
class Measured:
    """How two arrays are held against each other.

    Attributes
    ----------
    tolerance : Tolerance
    ulp_dtype : dtype
        What ULP are counted in.
    equal_nan : bool
    """

    tolerance: Tolerance
    ulp_dtype: np.dtype[Any]
    equal_nan: bool


@dataclass(frozen=True, eq=False)
class BlockDifference:
    """What is known of the differences in a block.

    Attributes
    ----------
    compared, finite : int
        Values that count, and of these those that are finite on both sides.
    nonfinite_a, nonfinite_b, exceed : int
    sum_abs, max_abs, max_rel : float
        Of finite values.
    needed : float
        The largest atol that a finite value would take, beside rtol.
    ulp_max : int
    nonfinite_apart : bool
        Values differ that have no difference.
    worst : int
        The place of `max_abs` among the values of the block, in C order.
    row_peaks : ndarray of float64 (row,)
        The largest difference along the last axis; infinite where values have no difference.
    row_firsts : ndarray of int64 (row,)
        The first place along the last axis that is beyond the tolerance; -1 if none is.
    absolute : ndarray of float64
        |a - b|, 0 where it is not finite or does not count; good until the next block.
    """

    compared: int
    finite: int
    nonfinite_a: int
    nonfinite_b: int
    exceed: int = 0
    sum_abs: float = 0.0
    max_abs: float = 0.0
    max_rel: float = 0.0
    needed: float = 0.0
    ulp_max: int = 0
    nonfinite_apart: bool = False
    worst: int = 0
    row_peaks: Array | None = None
    row_firsts: Array | None = None
    absolute: Array | None = None


def block_difference(
    a: Array, b: Array, valid: Array | None, how: Measured, histogram: Histogram
) -> BlockDifference:
    """Measure two blocks of one shape.

    Parameters
    ----------
    a, b : ndarray
        At least one axis.
    valid : ndarray of bool or None
        Which rows count, of the shape without its last axis.
    how : Measured
    histogram : Histogram
        Distances in ULP are added to it.

    Returns
    -------
    BlockDifference
        Without rows if all values that count are the same.
    """
    same = a == b
    both = np.isfinite(a)
    finite_b = np.isfinite(b)
    counted: Array | bool = True
    number = a.size
    if valid is not None:
        counted = np.broadcast_to(valid[..., None], a.shape)
        number = int(np.count_nonzero(counted))
        same |= ~counted
    nonfinite = [0 if finite.all() else int(np.count_nonzero(~finite & counted))
                 for finite in (both, finite_b)]  # fmt: skip
    if not (both.all() and finite_b.all()):
        if how.equal_nan:
            same |= np.isnan(a) & np.isnan(b)
        both &= finite_b
    if valid is not None:
        both &= counted
    counts = number, int(np.count_nonzero(both)), nonfinite[0], nonfinite[1]
    if same.all():
        histogram.counts[0] += counts[1]
        return BlockDifference(*counts)
    return _different(a, b, same, both, counts, how, histogram)


def _different(
    a: Array,
    b: Array,
    same: Array,
    both: Array,
    counts: tuple[int, int, int, int],
    how: Measured,
    histogram: Histogram,
) -> BlockDifference:
    whole = bool(both.all())
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        # float64 holds every difference of float32 values that matters here.
        difference = np.subtract(a, b, dtype=np.float64)
        np.abs(difference, out=difference)
        difference[same] = 0
        scale = np.maximum(np.abs(a), np.abs(b)).astype(np.float64)
        measured = difference if whole else np.where(both, difference, 0)
        # By itself 0 / 0 would be NaN.
        relative = np.divide(measured, scale, out=np.zeros_like(scale), where=measured > 0)
        sum_abs = float(measured.sum())
        scale *= how.tolerance.rtol
        needed = np.subtract(difference, scale, out=scale)
        ulps = None
        if how.ulp_dtype.kind == "f":
            ulps = ulp_distances(a, b, how.ulp_dtype)
            counted = ulps if whole else ulps[both]
            histogram.add(counted.reshape(-1))
        if how.tolerance.ulp is not None and ulps is not None:
            within = ulps <= np.uint64(how.tolerance.ulp)
        else:
            # NaN compares False, so that it is beyond.
            within = needed <= how.tolerance.atol
    if not whole:
        within &= both
    beyond = ~(within | same)
    rows = (-1, a.shape[-1])
    peaks = difference.reshape(rows).max(axis=1, initial=0)  # NaN stays NaN
    outside = beyond.reshape(rows)
    return BlockDifference(
        *counts,
        exceed=int(np.count_nonzero(beyond)),
        sum_abs=sum_abs,
        max_abs=float(measured.max()),
        max_rel=float(relative.max()),
        needed=float((needed if whole else np.where(both, needed, 0)).max()),
        ulp_max=0 if ulps is None else int(counted.max(initial=0)),
        nonfinite_apart=not whole and bool((~same & ~both).any()),
        worst=int(measured.argmax()),
        row_peaks=np.where(np.isfinite(peaks), peaks, np.inf),
        row_firsts=np.where(outside.any(axis=1), outside.argmax(axis=1), -1),
        absolute=measured,
    )
