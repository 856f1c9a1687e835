"""Quantiles, signal to noise and signs of differences, held to numpy over all values at once."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

import rnnscope
from rnnscope.comparing.wording import decibels, row

RNG = np.random.default_rng(8)
A = RNG.normal(size=(3, 50, 7))
B = A + RNG.normal(scale=1e-3, size=A.shape) * 10.0 ** RNG.integers(-6, 0, size=A.shape)


def only(a, b, **options):
    return rnnscope.diff({"c": a}, {"c": b}, **options).layers[0].arrays[0]


def test_quantiles_are_those_of_all_values():
    found, apart = only(A, B), np.abs(A - B)
    for value, share in ((found.median_abs, 0.5), (found.abs_99, 0.99)):
        exact = np.quantile(apart, share, method="higher")
        assert exact <= value <= 1.07 * exact
    assert found.abs_99 <= found.max_abs


def test_signal_to_noise():
    found = only(A, B)
    assert found.snr_db == pytest.approx(10 * np.log10((A**2).sum() / ((A - B) ** 2).sum()))
    assert only(A, A).snr_db == inf
    assert decibels(only(np.zeros((1, 2, 3)), np.ones((1, 2, 3))).snr_db) == "-inf"
    # By hand: 4 / 0.04 is 100, twenty decibels.
    assert only(np.full((1, 1, 1), 2.0), np.full((1, 1, 1), 2.2)).snr_db == pytest.approx(20)


def test_only_valid_steps_count():
    b = A.copy()
    b[1, 10:] += 5
    found = rnnscope.diff({"c": A, "lengths": [50, 10, 50]}, {"c": b, "lengths": [50, 10, 50]})
    array = found.layers[0].arrays[0]
    assert (array.snr_db, array.abs_99, array.signs_differ) == (inf, 0, 0)


def test_ulp_are_not_shown_across_signs():
    a = np.full((1, 2, 3), 1e-9)
    b = a.copy()
    b[0, 1, 2] = -1e-9
    found = only(a, b, atol=1e-6)
    assert (found.signs_differ, found.verdict) == (1, "same")
    assert row(found)[7:9] == ("-", "-")
    assert "-" not in row(only(a, a))[7:9]
