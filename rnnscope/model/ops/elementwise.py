"""Operations that treat every element by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.half_floats import rounded
from rnnscope.model.ops.interface import Operation, broadcast_size


def _of_two(function: Any) -> Operation:
    def operation(left: Array, right: Array) -> Any:
        broadcast_size(left, right)
        return function(left, right)

    return operation


def sigmoid(x: Array) -> Any:
    """``1 / (1 + exp(-x))``, without overflow on either side."""
    small = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)
    return result


def divide(left: Array, right: Array) -> Any:
    """True division of floats; of integers, towards zero, as C does."""
    broadcast_size(left, right)
    if np.result_type(left, right).kind in "iu":
        return np.trunc(np.true_divide(left, right)).astype(np.result_type(left, right))
    return np.true_divide(left, right)


def floor_modulo(left: Array, right: Array) -> Any:
    """The remainder with the sign of the divisor."""
    broadcast_size(left, right)
    return np.mod(left, right)


def truncated_modulo(left: Array, right: Array) -> Any:
    """The remainder with the sign of the dividend."""
    broadcast_size(left, right)
    return np.fmod(left, right)


def softplus(x: Array) -> Any:
    """``log(1 + exp(x))``."""
    return np.logaddexp(np.zeros((), x.dtype), x)


def elu(x: Array, *, alpha: float = 1.0) -> Any:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``."""
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))


def selu(x: Array, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Any:
    """Klambauer et al. (2017): a scaled `elu`."""
    return x.dtype.type(gamma) * elu(x, alpha=alpha)


def leaky_relu(x: Array, *, alpha: float = 0.2) -> Any:
    """``x`` where positive, else ``alpha * x``."""
    return np.where(x > 0, x, x.dtype.type(alpha) * x)


def hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Any:
    """``clip(alpha * x + beta, 0, 1)``."""
    return np.clip(x.dtype.type(alpha) * x + x.dtype.type(beta), 0, 1).astype(x.dtype)


def erf(x: Array) -> Any:
    """The error function."""
    flat = [math.erf(value) for value in np.asarray(x, np.float64).reshape(-1)]
    return np.array(flat, x.dtype).reshape(x.shape)


def gelu(x: Array, *, approximate: bool = False) -> Any:
    """``x`` times the normal distribution's cumulative function."""
    kind = x.dtype.type
    if approximate:
        inner = kind(math.sqrt(2 / math.pi)) * (x + kind(0.044715) * x**3)
        return kind(0.5) * x * (1 + np.tanh(inner))
    return kind(0.5) * x * (1 + erf(x * kind(math.sqrt(0.5))))


def clip(x: Array, low: Any = None, high: Any = None) -> Any:
    """Values kept between two bounds, either of which may be missing."""
    if low is not None and np.size(low):
        broadcast_size(x, low)
        x = np.maximum(x, np.asarray(low, x.dtype))
    if high is not None and np.size(high):
        broadcast_size(x, high)
        x = np.minimum(x, np.asarray(high, x.dtype))
    return x


def where(condition: Array, yes: Array, no: Array) -> Any:
    """`yes` where the condition holds, else `no`; broadcast from the right, as numpy does."""
    broadcast_size(condition, yes, no)
    return np.where(condition, yes, no)


def cast(x: Array, *, dtype: Any) -> Any:
    """Values in another dtype; floats become integers towards zero."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(x).astype(dtype)


def add_all(*arrays: Array) -> Any:
    """The sum of any number of arrays, from the first to the last."""
    broadcast_size(*arrays)
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def identity(x: Any) -> Any:
    """The value itself."""
    return x


ELEMENTWISE: dict[str, Operation] = {
    "identity": identity,
    "add": _of_two(np.add),
    "subtract": _of_two(np.subtract),
    "multiply": _of_two(np.multiply),
    "divide": divide,
    "floor_divide": _of_two(np.floor_divide),
    "floor_modulo": floor_modulo,
    "truncated_modulo": truncated_modulo,
    "power": _of_two(np.power),
    "maximum": _of_two(np.maximum),
    "minimum": _of_two(np.minimum),
    "squared_difference": _of_two(lambda left, right: np.square(left - right)),
    "add_all": add_all,
    "negative": np.negative,
    "absolute": np.abs,
    "sign": np.sign,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: np.divide(1, np.sqrt(x), dtype=x.dtype),
    "reciprocal": lambda x: np.divide(1, x, dtype=x.dtype),
    "square": np.square,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "arctan2": _of_two(np.arctan2),
    "erf": erf,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "relu": lambda x: np.maximum(x, x.dtype.type(0)),
    "relu6": lambda x: np.clip(x, x.dtype.type(0), x.dtype.type(6)),
    "elu": elu,
    "selu": selu,
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "hard_sigmoid": hard_sigmoid,
    "clip": clip,
    "where": where,
    "cast": cast,
    "round_to_half": rounded,
    "equal": _of_two(np.equal),
    "not_equal": _of_two(np.not_equal),
    "less": _of_two(np.less),
    "less_equal": _of_two(np.less_equal),
    "greater": _of_two(np.greater),
    "greater_equal": _of_two(np.greater_equal),
    "logical_and": _of_two(np.logical_and),
    "logical_or": _of_two(np.logical_or),
    "logical_xor": _of_two(np.logical_xor),
    "logical_not": np.logical_not,
    "is_nan": np.isnan,
    "is_finite": np.isfinite,
    "is_inf": np.isinf,
}
"""Operations on single elements, by name."""
