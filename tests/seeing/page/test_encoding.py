"""Arrays as text: read back as the page's script reads them."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from rnnscope.seeing.page.encoding import encode


def decoded(encoded):
    values = np.frombuffer(base64.b64decode(encoded.text), np.dtype(encoded.held).newbyteorder("<"))
    if encoded.held != "int16":
        return values
    numbers = values * encoded.step
    numbers[values == -32768] = np.nan
    numbers[values == 32767] = np.inf
    numbers[values == -32767] = -np.inf
    return numbers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stored_values_come_back_bit_for_bit(dtype):
    values = np.random.default_rng(0).normal(size=(2, 3)).astype(dtype)
    encoded = encode(values, "stored")
    assert encoded.held == dtype
    assert decoded(encoded).tobytes() == values.tobytes()


def test_float32_is_not_taken_where_it_would_lose_a_number():
    assert encode(np.array([0.1, -2.0]), "float32").held == "float32"
    assert encode(np.array([0.1, np.nan, np.inf]), "float32").held == "float32"
    assert encode(np.array([0.1, 1e300]), "float32").held == "float64"
    assert encode(np.array([0.1, 1e-300]), "float32").held == "float64"
    assert encode(np.array([0.0, 1.0]), "float32").held == "float32"


def test_whole_numbers_are_within_half_a_step_and_keep_zero_and_what_is_not_finite():
    values = np.array([0, 1.5, -3.0, 1e-3, np.nan, np.inf, -np.inf])
    encoded = encode(values, "int16")
    assert encoded.held == "int16"
    assert encoded.step == 3.0 / 32766
    assert encoded.digits == 5
    found = decoded(encoded)
    assert found[0] == 0
    assert np.abs(found[:4] - values[:4]).max() <= encoded.step / 2
    assert np.isnan(found[4])
    assert found[5:].tolist() == [np.inf, -np.inf]
    assert decoded(encode(np.zeros(3), "int16")).tolist() == [0, 0, 0]
