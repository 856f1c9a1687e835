"""Two arrays compared, from what was measured of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.comparing.array_measure import (
    AlignedArrays,
    ArrayMeasure,
    FirstDivergence,
    GrowthOverTime,
)
from rnnscope.comparing.measure import Measure
from rnnscope.comparing.result import FINAL_AXES, STATE_AXES, ArrayDiff, Divergence
from rnnscope.comparing.tolerance import Tolerance


def diff_arrays(
    name: str,
    pair: AlignedArrays,
    tolerance: Tolerance,
    *,
    equal_nan: bool = False,
    fail_fast: bool = False,
    problems: tuple[str, ...] = (),
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
    axes: tuple[str, ...] | None = None,
    measured: ArrayMeasure | None = None,
) -> ArrayDiff:
    """Compare two arrays.

    Parameters
    ----------
    name : str
    pair : AlignedArrays
        (sequence, timestep, unit), (sequence, unit), or any axes with names in `axes`.
    tolerance : Tolerance
    equal_nan, fail_fast : bool
    problems : tuple of str
        What is known to differ already.
    shapes : two tuples of int, optional
        As stored, if these arrays are parts.
    axes : tuple of str, optional
    measured : ArrayMeasure, optional
        What was measured elsewhere: the values are not read.
    """
    named = axes or (STATE_AXES if len(pair.a.shape) == 3 else FINAL_AXES)
    found = measured
    if found is None:
        found = ArrayMeasure(pair, tolerance, equal_nan=equal_nan).see(pair, fail_fast=fail_fast)
    return _result(
        name, pair, named, found.measure, found.first, found.growth, problems, shapes,
        complete=found.complete,
    )  # fmt: skip


def _result(
    name: str,
    pair: AlignedArrays,
    axes: tuple[str, ...],
    measure: Measure,
    first: FirstDivergence,
    growth: GrowthOverTime,
    problems: tuple[str, ...],
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None,
    *,
    complete: bool,
) -> ArrayDiff:
    def named(place: tuple[int, ...]) -> tuple[int, ...]:
        pairs = zip(pair.coordinates, place, strict=True)
        return tuple(int(coordinates[at]) for coordinates, at in pairs)

    shape_a, shape_b = shapes or (pair.a.shape, pair.b.shape)
    peak = measure.max_abs
    return ArrayDiff(
        name=name,
        verdict="differ" if measure.exceed or problems else "same",
        axes=axes,
        shape_a=tuple(shape_a),
        shape_b=tuple(shape_b),
        dtype_a=str(pair.a.dtype),
        dtype_b=str(pair.b.dtype),
        compared=measure.compared,
        max_abs=max(peak.value, 0.0),
        mean_abs=measure.mean_abs(),
        median_abs=min(measure.spread.quantile(0.5), max(peak.value, 0.0)),
        abs_99=min(measure.spread.quantile(0.99), max(peak.value, 0.0)),
        snr_db=measure.spread.snr_db(),
        signs_differ=measure.spread.signs_differ,
        max_rel=max(measure.max_rel.value, 0.0),
        ulp_max=None if measure.worst_is_nonfinite else measure.ulp_max,
        ulp_99=measure.histogram.quantile(0.99),
        ulp_dtype=str(measure.how.ulp_dtype),
        nonfinite_a=measure.nonfinite_a,
        nonfinite_b=measure.nonfinite_b,
        exceed=measure.exceed,
        tolerance=str(measure.tolerance),
        passes_at=measure.passes_at() if measure.exceed and complete else "",
        first=Divergence(named(first.place), *first.values) if first.place else None,
        worst=named(peak.place) if peak.value > 0 else (),
        growth=growth.columns(),
        problems=problems,
        complete=complete,
    )


def coordinates_of(shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Places called by their number."""
    return tuple(np.arange(size) for size in shape)
