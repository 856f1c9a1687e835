"""Activations of one number, in the precision of the Decimal context at hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal

import numpy as np

from rnnscope.errors import UnsupportedCellError
from rnnscope.model.activations import name_and_constants
from rnnscope.model.cell import Array

CONTEXT = Context(prec=40, Emin=-999_999, Emax=999_999, traps=[])
"""Forty digits: products are right to some 2^-106 of the largest, which is 32 of them."""

ZERO, HALF, ONE, TWO = Decimal(0), Decimal("0.5"), Decimal(1), Decimal(2)

Number = Callable[[Decimal], Decimal]


def clipped(z: Decimal, low: Decimal, high: Decimal) -> Decimal:
    """The nearest number between two bounds."""
    return min(max(z, low), high)


def _sigmoid(z: Decimal) -> Decimal:
    power = (-abs(z)).exp()
    return (ONE if z >= 0 else power) / (ONE + power)


def _tanh(z: Decimal) -> Decimal:
    power = (-TWO * abs(z)).exp()
    found = (ONE - power) / (ONE + power)
    return found if z >= 0 else -found


def _expm1(z: Decimal) -> Decimal:
    return z.exp() - ONE


def _softplus(z: Decimal) -> Decimal:
    return max(z, ZERO) + (ONE + (-abs(z)).exp()).ln()


def _affine_clipped(slope: Decimal, offset: Decimal) -> Number:
    return lambda z: clipped(slope * z + offset, ZERO, ONE)


SELU_SCALE = Decimal("1.0507009873554804934193349852946")
SELU_ALPHA = Decimal("1.6732632423543772848170429916717")

FUNCTIONS: dict[str, Number] = {
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "hard_sigmoid": _affine_clipped(Decimal("0.2"), HALF),
    "hard_sigmoid_keras3": lambda z: clipped(z + 3, ZERO, Decimal(6)) / 6,
    "relu": lambda z: max(z, ZERO),
    "relu6": lambda z: clipped(z, ZERO, Decimal(6)),
    "linear": lambda z: z,
    "elu": lambda z: z if z > 0 else _expm1(z),
    "selu": lambda z: SELU_SCALE * (z if z > 0 else SELU_ALPHA * _expm1(z)),
    "softplus": _softplus,
    "softsign": lambda z: z / (ONE + abs(z)),
    "swish": lambda z: z * _sigmoid(z),
    "mish": lambda z: z * _tanh(_softplus(z)),
    "exponential": lambda z: z.exp(),
}
"""By the names of `rnnscope.model.activations.ACTIVATIONS`; those of whole rows are not here."""

WITH_CONSTANTS: dict[str, Callable[..., Number]] = {
    "hard_sigmoid": _affine_clipped,
    "leaky_relu": lambda a: lambda z: z if z > 0 else a * z,
    "thresholded_relu": lambda a: lambda z: z if z > a else ZERO,
    "scaled_tanh": lambda a, b: lambda z: a * _tanh(b * z),
    "elu": lambda a: lambda z: z if z > 0 else a * _expm1(z),
    "affine": lambda a, b: lambda z: a * z + b,
}


def exact_activation(name: str) -> Callable[[Array], Array]:
    """The activation of a name, of arrays of Decimals.

    Raises
    ------
    UnsupportedCellError
        It is one of whole rows, or needs a function that Decimals lack.
    """
    plain, constants = name_and_constants(name)
    if constants and plain in WITH_CONSTANTS:
        one: Number | None = WITH_CONSTANTS[plain](*map(Decimal, constants))
    else:
        one = FUNCTIONS.get(name)
    if one is None:
        raise UnsupportedCellError(
            f"The activation '{name}' is not computed in more digits than float64 has.",
            expected=", ".join([*FUNCTIONS, *(f"{known}(…)" for known in WITH_CONSTANTS)]),
            found=name,
        )
    each = np.frompyfunc(one, 1, 1)
    return lambda values: np.asarray(each(values), object)
