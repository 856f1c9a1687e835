"""Numbers of a comparison: distances in ULP, their histogram, tolerances rounded up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rnnscope.comparing.histogram import EXACT_ULPS, Histogram, ulp_distances
from rnnscope.comparing.measure import round_up
from rnnscope.comparing.tolerance import tolerance_pairs
from rnnscope.errors import OptionError


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_neighbours_are_one_apart(dtype):
    values = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -1e-3], dtype)
    up = np.nextafter(values, np.array(np.inf, dtype))
    assert ulp_distances(values, up, np.dtype(dtype)).tolist() == [1] * 6
    assert ulp_distances(up, values, np.dtype(dtype)).tolist() == [1] * 6


def test_zeros_of_both_signs_are_the_same():
    distance = ulp_distances(np.array([0.0]), np.array([-0.0]), np.dtype(np.float64))
    assert distance.tolist() == [0]


def test_the_widest_distance_does_not_overflow():
    big = np.array([np.finfo(np.float64).max])
    distance = int(ulp_distances(-big, big, np.dtype(np.float64))[0])
    assert distance == 2 * int(big.view(np.int64)[0])


@given(arrays(np.uint64, st.integers(1, 50), elements=st.integers(0, 2**40)))
def test_the_histogram_is_right_to_a_twentieth(distances):
    histogram = Histogram()
    for part in np.array_split(distances, 3):
        histogram.add(part)
    for share in (0.5, 0.99, 1.0):
        true = int(np.sort(distances)[int(np.ceil(share * len(distances))) - 1])
        found = histogram.quantile(share)
        if true < EXACT_ULPS:
            assert found == true
        else:
            assert found <= true * 1.001
            assert found >= true / 1.05


@given(st.floats(1e-30, 1e30))
def test_rounding_up(value):
    assert value <= round_up(value) <= value * 1.011


@pytest.mark.parametrize("text", ["x", "c:", "-1", "nan", "inf", ""])
def test_values_that_are_no_tolerance(text):
    with pytest.raises(OptionError, match="--atol"):
        tolerance_pairs("--atol", [text])


def test_tolerances_by_array():
    assert tolerance_pairs("--atol", ["1e-6", "c:1e-3", "enc/*:0"]) == (
        ("*", 1e-6), ("c", 1e-3), ("enc/*", 0.0),
    )  # fmt: skip
