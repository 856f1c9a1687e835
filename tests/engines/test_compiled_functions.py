"""The activations of compiled steps: as near to the true function as numpy's are."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.engines.compiled.functions import FUNCTIONS, function, is_known
from rnnscope.model.activations import ACTIVATIONS, PARAMETRISED, activation

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from llvmlite import ir

from rnnscope.engines.compiled import cpu
from rnnscope.engines.compiled.loaded_code import Compiled
from rnnscope.engines.compiled.vectors import REALS
from rnnscope.engines.compiled.writer import Table, Writer

LEFT_OUT = {"gelu", "softmax"}
"""The one needs the error function, the other all units at once."""

CONSTANTS = {"hard_sigmoid": "(0.25,0.4)", "scaled_tanh": "(1.7,0.6)", "affine": "(0.5,0.1)",
             "leaky_relu": "(0.01)", "thresholded_relu": "(0.7)", "elu": "(0.5)"}  # fmt: skip
NAMES = sorted(set(ACTIVATIONS) - LEFT_OUT) + [
    name + constants for name, constants in CONSTANTS.items()
]
TYPES = ("float32", "float64")
ALLOWED = {"tanh": 5, "scaled_tanh(1.7,0.6)": 6, "sigmoid": 2, "gelu_tanh": 4, "mish": 8}
"""Units in the last place."""

TIMES_Z = {"swish", "gelu_tanh"}
"""z times what is left of 1: as far from the truth as z, in the reference, too."""


def computed(name, z):
    """An activation of some numbers, compiled."""
    real = REALS[z.dtype.name]
    lanes = cpu.tile().of(real.bytes).lanes
    table = {"z": "reals", "out": "reals", "count": "int"}
    module = ir.Module()
    w = Writer(module, "steps", Table(table), {}, real, lanes, inner=False)
    with w.loop(w["count"]) as number:
        at = w.times(number, lanes)
        w.put(function(name)(w.vector(w.at(w["z"], at))), w.at(w["out"], at))
    w.done()
    count = -(-z.size // lanes)
    padded, out = np.zeros((2, count * lanes), z.dtype)
    padded[: z.size] = z
    made = Compiled(cpu.machine_code(module), table, real.name)
    memory = made.new_table()
    made.fill(memory, {"z": padded, "out": out, "count": count})
    made.steps(memory)
    return out[: z.size]


def numbers(dtype):
    tiny = np.logspace(-37, 1, 20_001)
    near = np.linspace(-24, 24, 60_001)
    return np.concatenate([near, tiny, -tiny, np.linspace(-87, 87, 5001)]).astype(dtype)


def test_every_activation_but_two_is_known():
    assert set(FUNCTIONS) == (set(ACTIVATIONS) | set(PARAMETRISED)) - LEFT_OUT
    assert set(CONSTANTS) == set(PARAMETRISED)
    assert not is_known("tanh", "softmax")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", NAMES)
def test_an_activation_is_as_near_to_the_truth_as_rounding_lets_it_be(name, dtype):
    z = numbers(dtype)
    wide = np.float64 if dtype == "float32" else np.longdouble
    with np.errstate(all="ignore"):
        true = activation(name).function(z.astype(wide))
    found = computed(name, z)
    size = np.abs(true).astype(dtype)
    if name in TIMES_Z:
        size = np.maximum(size, np.abs(z))
    elif "sigmoid" in name or name.startswith("affine"):
        size = np.maximum(size, 1)  # the sum of two that may cancel
    ulps = np.abs(found - true) / np.spacing(np.maximum(size, np.finfo(dtype).tiny).astype(dtype))
    assert ulps.max() <= ALLOWED.get(name, 3)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_what_numpy_says(name, dtype):
    z = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0], dtype)
    with np.errstate(all="ignore"):
        expected = activation(name).function(z)
    np.testing.assert_allclose(computed(name, z), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", TYPES)
def test_tanh_is_exact_where_it_saturates(dtype):
    z = numbers(dtype)
    assert np.abs(computed("tanh", z)).max() == 1
    beyond = np.linspace(9.02 if dtype == "float32" else 22, 100, 1000).astype(dtype)
    assert (computed("tanh", beyond) == 1).all()
    assert (computed("sigmoid", 2 * beyond) == 1).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_exponentials_end_in_zero_and_in_infinity(dtype):
    most = np.log(np.finfo(dtype).max)
    z = np.array([most * 0.999, most * 1.01, -1.3 * most, 1e30], dtype)
    found = computed("exponential", z)
    assert np.isfinite(found[0])
    np.testing.assert_array_equal(found[1:], [np.inf, 0, np.inf])
