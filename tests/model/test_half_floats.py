"""Rounding to 16 bits is that of numpy's float16, and of ml_dtypes' bfloat16."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.model.half_floats import rounded

ALL = np.arange(2**16, dtype=np.uint32)


def hard_values(exact):
    """Every float of 16 bits, those halfway to the next one, and the neighbours of both."""
    exact = exact[np.isfinite(exact)]
    step = np.sort(exact)
    with np.errstate(over="ignore"):
        halfway = ((step[1:].astype(np.float64) + step[:-1]) / 2).astype(np.float32)
        every = np.concatenate([exact, halfway])
        every = np.concatenate(
            [every, np.nextafter(every, np.float32("inf")), np.nextafter(every, np.float32("-inf"))]
        )
    ends = np.float32([65504, 65519.996, 65520, 3.4e38, "inf", "-inf", "nan", 0.0, -0.0])
    return np.concatenate([every, ends])


def same_bits(found, wanted):
    """Whether all are alike, zeros with their signs; NaN is alike to NaN."""
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))


def test_float16():
    values = hard_values(ALL.astype(np.uint16).view(np.float16).astype(np.float32))
    with np.errstate(over="ignore"):
        same_bits(rounded(values, "float16"), values.astype(np.float16).astype(np.float32))


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = hard_values((ALL << 16).view(np.float32))
    with np.errstate(over="ignore"):
        same_bits(rounded(values, "bfloat16"), values.astype(ml_dtypes.bfloat16).astype(np.float32))


@pytest.mark.parametrize(("to", "halfway"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_of_two_it_is_the_even_one(to, halfway):
    found = rounded(np.float64([1 + halfway, 1 + 3 * halfway]), to)
    np.testing.assert_array_equal(found, [1, 1 + 4 * halfway])


def test_whole_numbers_and_no_axes():
    assert rounded(np.int64(2**24 + 1), "float16") == np.inf
    assert rounded(np.int32(2049), "float16") == 2048
    assert rounded(257, "bfloat16").shape == ()
    assert rounded(257, "bfloat16") == 256
