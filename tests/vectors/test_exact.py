"""The exact equations: products without rounding, functions and steps held to other arithmetic."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnnscope.errors import UnsupportedCellError
from rnnscope.model.activations import ACTIVATIONS, activation
from rnnscope.vectors.exact.functions import CONTEXT, FUNCTIONS, exact_activation
from rnnscope.vectors.exact.products import ExactMatrix, to_decimal


def fractions_of(left, matrix):
    """The product in rational numbers."""
    return [
        [
            sum((Fraction(a) * Fraction(float(b)) for a, b in zip(row, column, strict=True)),
                Fraction())
            for column in matrix.T
        ]
        for row in left
    ]  # fmt: skip


NUMBERS = st.floats(-1e3, 1e3).filter(lambda value: value == 0 or abs(value) > 1e-200)
"""Without those whose second half no float64 holds."""

FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False, width=32)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_product_is_right_to_thirty_digits_of_its_largest_term(data):
    inner = data.draw(st.integers(1, 9))
    left = data.draw(hnp.arrays(np.float64, (2, inner), elements=NUMBERS))
    matrix = data.draw(hnp.arrays(np.float32, (inner, 3), elements=FLOATS))
    with localcontext(CONTEXT):
        values = to_decimal(left) / 3  # more digits than a float has
        found = ExactMatrix(matrix).multiplied_by(values)
    expected = fractions_of(values, matrix)
    largest = max((abs(Fraction(a)) for a in values.reshape(-1)), default=Fraction()) * Fraction(
        float(np.abs(matrix).max())
    )
    for row, right in zip(found, expected, strict=True):
        for one, other in zip(row, right, strict=True):
            assert abs(Fraction(one) - other) <= largest * inner / Fraction(10) ** 30


def test_a_long_sum_with_cancellation_is_exact():
    """1e8 and -1e8 in turns hide a small number from any float64."""
    inner = 4097
    left = np.ones((1, inner))
    matrix = np.resize([1e8, -1e8], (inner, 1)) + 0.0
    matrix[-1] = 2.0**-40
    with localcontext(CONTEXT):
        found = ExactMatrix(matrix).multiplied_by(to_decimal(left))
    assert found[0, 0] == Decimal(2) ** -40
    assert ExactMatrix(matrix).bits == 20


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_the_engine(name):
    z = np.concatenate([np.linspace(-9, 9, 181), [-80.0, -1e-9, 0.0, 1e-9, 80.0]])
    with localcontext(CONTEXT), np.errstate(over="ignore"):
        found = exact_activation(name)(to_decimal(z)).astype(np.float64)
        expected = ACTIVATIONS[name].function(z)
    np.testing.assert_allclose(found, expected, rtol=4e-15, atol=1e-15)


@pytest.mark.parametrize(
    "name",
    ["hard_sigmoid(0.3,0.4)", "leaky_relu(0.1)", "thresholded_relu(0.7)", "scaled_tanh(1.5,0.3)",
     "elu(0.6)", "affine(0.5,0.1)"],
)  # fmt: skip
def test_functions_with_constants_are_those_of_the_engine(name):
    z = np.linspace(-4, 4, 81)
    with localcontext(CONTEXT):
        found = exact_activation(name)(to_decimal(z)).astype(np.float64)
    np.testing.assert_allclose(found, activation(name).function(z), rtol=4e-15, atol=1e-15)


def test_digits_that_float64_lacks():
    """Tanh and sigmoid to 38 digits, from tables (Wolfram, mpmath)."""
    with localcontext(CONTEXT):
        one = to_decimal(np.array([1.0]))
        tanh, sigmoid = (exact_activation(name)(one)[0] for name in ("tanh", "sigmoid"))
    assert str(tanh)[:36] == "0.7615941559557648881194582826047935"
    assert str(sigmoid)[:36] == "0.7310585786300048792511592418218362"


@pytest.mark.parametrize("name", ["softmax", "gelu", "gelu_tanh"])
def test_what_is_not_computed_is_refused_by_name(name):
    with pytest.raises(UnsupportedCellError, match=name):
        exact_activation(name)
