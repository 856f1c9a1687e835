"""Activations with constants, beyond those of `rnnscope.model.ops.elementwise`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.elementwise import sigmoid, softplus
from rnnscope.model.ops.interface import Operation, broadcast_size


def celu(x: Array, *, alpha: float = 1.0) -> Any:
    """Barron (2017): ``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``."""
    kind = x.dtype.type
    return np.maximum(x, kind(0)) + np.minimum(kind(alpha) * np.expm1(x / kind(alpha)), kind(0))


def thresholded_relu(x: Array, *, alpha: float = 1.0) -> Any:
    """``x`` above `alpha`, else 0."""
    return np.where(x > x.dtype.type(alpha), x, x.dtype.type(0))


def prelu(x: Array, slope: Array) -> Any:
    """``x`` where positive, else ``slope * x``."""
    broadcast_size(x, slope)
    return np.where(x > 0, x, x * slope)


def shrink(x: Array, *, bias: float = 0.0, lambd: float = 0.5) -> Any:
    """Nearer to zero by `bias` beyond `lambd` on either side, zero between."""
    kind = x.dtype.type
    near = np.where(x > kind(lambd), x - kind(bias), kind(0))
    return np.where(x < kind(-lambd), x + kind(bias), near).astype(x.dtype)


def swish(x: Array, *, alpha: float = 1.0) -> Any:
    """``x * sigmoid(alpha * x)``."""
    return x * sigmoid(x.dtype.type(alpha) * x)


def hard_swish(x: Array) -> Any:
    """``x * clip(x / 6 + 0.5, 0, 1)``."""
    kind = x.dtype.type
    return x * np.clip(x * kind(1 / 6) + kind(0.5), kind(0), kind(1))


def mish(x: Array) -> Any:
    """``x * tanh(softplus(x))``."""
    return x * np.tanh(softplus(x))


def affine(x: Array, *, alpha: float = 1.0, beta: float = 0.0) -> Any:
    """``alpha * x + beta``."""
    return x.dtype.type(alpha) * x + x.dtype.type(beta)


def scaled_tanh(x: Array, *, alpha: float = 1.0, beta: float = 1.0) -> Any:
    """``alpha * tanh(beta * x)``."""
    return x.dtype.type(alpha) * np.tanh(x.dtype.type(beta) * x)


ACTIVATIONS: dict[str, Operation] = {
    "affine": affine,
    "celu": celu,
    "hard_swish": hard_swish,
    "mish": mish,
    "prelu": prelu,
    "scaled_tanh": scaled_tanh,
    "shrink": shrink,
    "swish": swish,
    "thresholded_relu": thresholded_relu,
}
"""Activations, by name."""
