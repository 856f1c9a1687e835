"""Activation functions by name, with the bound that each puts on a value.

One table serves the cells, the Dense and Activation layers between them, and the check that
|m| stays within what the activation allows. The two hard sigmoids have two names, since Keras
gave one name to both: 1 and 2 mean ``clip(0.2 z + 0.5)``, 3 means ``clip(z / 6 + 0.5)``.

The functions of `PARAMETRISED` carry their constants in their name: ``"leaky_relu(0.01)"``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import UnsupportedCellError
from rnnscope.model.cell import Array


@dataclass(frozen=True)
class ActivationFunction:
    """An element-wise function and the largest |value| it can return (None: unbounded)."""

    name: str
    function: Callable[[Array], Array]
    bound: float | None


def _sigmoid(z: Array) -> Array:
    # tanh never overflows, so no split by sign is needed; exact to 1 ULP of the direct formula.
    half = z.dtype.type(0.5)
    result: Array = half * np.tanh(half * z) + half
    return result


def _hard_sigmoid(slope: float, offset: float = 0.5) -> Callable[[Array], Array]:
    def function(z: Array) -> Array:
        kind = z.dtype.type
        result: Array = np.clip(kind(slope) * z + kind(offset), kind(0), kind(1))
        return result

    return function


def _hard_sigmoid_keras3(z: Array) -> Array:
    # jax.nn and Keras 3 write relu6(z + 3) / 6: the same function, rounded as they round it.
    kind = z.dtype.type
    result: Array = np.clip(z + kind(3), kind(0), kind(6)) / kind(6)
    return result


def _elu(z: Array) -> Array:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def _selu(z: Array) -> Array:
    kind = z.dtype.type
    # Klambauer et al. 2017, the constants of tf.nn.selu.
    scale, alpha = kind(1.0507009873554804934193349852946), kind(1.6732632423543772848170429916717)
    result: Array = scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))
    return result


def _softplus(z: Array) -> Array:
    result: Array = np.logaddexp(z, z.dtype.type(0))
    return result


def _softsign(z: Array) -> Array:
    result: Array = z / (1 + np.abs(z))
    return result


def _softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    result: Array = powers / powers.sum(axis=-1, keepdims=True)
    return result


def _gelu_tanh(z: Array) -> Array:
    kind = z.dtype.type
    inner = kind(np.sqrt(2 / np.pi)) * (z + kind(0.044715) * z**3)
    result: Array = kind(0.5) * z * (1 + np.tanh(inner))
    return result


def _gelu(z: Array) -> Array:
    # NumPy has no erf; the C library's, one value at a time, is slow and right to the last bit.
    erf = np.asarray(np.frompyfunc(math.erf, 1, 1)(z * math.sqrt(0.5))).astype(z.dtype)
    result: Array = z.dtype.type(0.5) * z * (1 + erf)
    return result


def _mish(z: Array) -> Array:
    result: Array = z * np.tanh(_softplus(z))
    return result


def _swish(z: Array) -> Array:
    result: Array = z * _sigmoid(z)
    return result


def _scaled_tanh(z: Array, alpha: float, beta: float) -> Array:
    kind = z.dtype.type
    result: Array = kind(alpha) * np.tanh(kind(beta) * z)
    return result


def _scaled_elu(z: Array, alpha: float) -> Array:
    return np.where(z > 0, z, z.dtype.type(alpha) * np.expm1(np.minimum(z, 0)))


def _affine(z: Array, alpha: float, beta: float) -> Array:
    kind = z.dtype.type
    result: Array = kind(alpha) * z + kind(beta)
    return result


ACTIVATIONS: dict[str, ActivationFunction] = {
    entry.name: entry
    for entry in (
        ActivationFunction("tanh", np.tanh, 1.0),
        ActivationFunction("sigmoid", _sigmoid, 1.0),
        ActivationFunction("hard_sigmoid", _hard_sigmoid(0.2), 1.0),
        ActivationFunction("hard_sigmoid_keras3", _hard_sigmoid_keras3, 1.0),
        ActivationFunction("relu", lambda z: np.maximum(z, 0), None),
        ActivationFunction("relu6", lambda z: np.clip(z, 0, 6), 6.0),
        ActivationFunction("linear", lambda z: z, None),
        ActivationFunction("elu", _elu, None),
        ActivationFunction("selu", _selu, None),
        ActivationFunction("softplus", _softplus, None),
        ActivationFunction("softsign", _softsign, 1.0),
        ActivationFunction("softmax", _softmax, 1.0),
        ActivationFunction("swish", _swish, None),
        ActivationFunction("gelu", _gelu, None),
        ActivationFunction("gelu_tanh", _gelu_tanh, None),
        ActivationFunction("mish", _mish, None),
        ActivationFunction("exponential", np.exp, None),
    )
}
"""Every activation that the engine computes, by name."""


PARAMETRISED: dict[str, tuple[int, Callable[..., ActivationFunction]]] = {
    "hard_sigmoid": (2, lambda name, a, b: ActivationFunction(name, _hard_sigmoid(a, b), 1.0)),
    "leaky_relu": (
        1,
        lambda name, a: ActivationFunction(
            name, lambda z: np.where(z > 0, z, z.dtype.type(a) * z), None
        ),
    ),
    "thresholded_relu": (
        1,
        lambda name, a: ActivationFunction(
            name, lambda z: np.where(z > z.dtype.type(a), z, z.dtype.type(0)), None
        ),
    ),
    "scaled_tanh": (
        2,
        lambda name, a, b: ActivationFunction(name, lambda z: _scaled_tanh(z, a, b), abs(a)),
    ),
    "elu": (1, lambda name, a: ActivationFunction(name, lambda z: _scaled_elu(z, a), None)),
    "affine": (2, lambda name, a, b: ActivationFunction(name, lambda z: _affine(z, a, b), None)),
}
"""How many constants each of these takes, and what makes it of its whole name and of them.

References
----------
The activations of the ONNX operators LSTM, GRU and RNN, with their alpha and beta.
"""

_CALL = re.compile(r"(\w+)\((.*)\)")


def parametrised(name: str, *constants: float) -> str:
    """The name of an activation of `PARAMETRISED` with its constants."""
    return f"{name}({','.join(repr(float(constant)) for constant in constants)})"


def name_and_constants(name: str) -> tuple[str, tuple[float, ...]]:
    """An activation's name without its constants, and these; none for most."""
    called = _CALL.fullmatch(name)
    if called is None:
        return name, ()
    return called[1], tuple(float(text) for text in called[2].split(","))


@cache
def _parametrised(name: str) -> ActivationFunction | None:
    called = _CALL.fullmatch(name)
    if called is None or called[1] not in PARAMETRISED:
        return None
    count, make = PARAMETRISED[called[1]]
    try:
        constants = [float(text) for text in called[2].split(",")]
    except ValueError:
        return None
    return make(name, *constants) if len(constants) == count else None


def activation(name: str, where: Any = None) -> ActivationFunction:
    """The activation of that name, or an `UnsupportedCellError` that lists the known ones."""
    found = ACTIVATIONS.get(name) or _parametrised(name)
    if found is None:
        known = [*ACTIVATIONS, *(f"{name}(…)" for name in PARAMETRISED)]
        raise UnsupportedCellError(
            f"rnnscope does not compute the activation '{name}'.",
            where=where,
            expected="one of " + ", ".join(known),
            found=name,
        )
    return found
