"""Activations with constants in their names, by hand-worked values."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.errors import UnsupportedCellError
from rnnscope.model.activations import PARAMETRISED, activation, parametrised

Z = np.array([-2.0, -0.5, 0.0, 0.25, 3.0])


@pytest.mark.parametrize(
    ("name", "expected", "bound"),
    [
        ("hard_sigmoid(0.1,0.4)", [0.2, 0.35, 0.4, 0.425, 0.7], 1.0),
        ("leaky_relu(0.1)", [-0.2, -0.05, 0.0, 0.25, 3.0], None),
        ("thresholded_relu(0.25)", [0.0, 0.0, 0.0, 0.0, 3.0], None),
        ("scaled_tanh(2.0,0.5)", 2 * np.tanh(Z / 2), 2.0),
        ("elu(0.5)", [0.5 * np.expm1(-2), 0.5 * np.expm1(-0.5), 0.0, 0.25, 3.0], None),
        ("affine(2.0,-1.0)", [-5.0, -2.0, -1.0, -0.5, 5.0], None),
    ],
)
def test_values_and_bounds(name, expected, bound):
    found = activation(name)
    np.testing.assert_allclose(found.function(Z), expected, rtol=1e-15)
    assert found.function(Z.astype("f4")).dtype == np.float32
    assert (found.name, found.bound) == (name, bound)


def test_names_come_back_from_their_constants():
    for name, (count, _) in PARAMETRISED.items():
        full = parametrised(name, *[0.3] * count)
        assert activation(full).name == full


@pytest.mark.parametrize(
    "name", ["elu(1,2)", "elu()", "elu(x)", "tanh(1)", "eval(1)", "elu(1", "affine(1)"]
)
def test_names_that_are_none(name):
    with pytest.raises(UnsupportedCellError, match=r"leaky_relu\(…\)"):
        activation(name)
