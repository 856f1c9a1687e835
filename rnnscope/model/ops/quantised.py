"""Whole numbers that stand for floats: ``scale * (number - zero)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import EvaluationError, Operation, broadcast_size, check_size


def _along(parameter: Array, x: Array, axis: int) -> Array:
    """One parameter for all elements, or one for each place on an axis."""
    if parameter.size == 1:
        return parameter.reshape(())
    if parameter.ndim == 1 and x.ndim > 1:
        shape = [1] * x.ndim
        shape[axis] = -1
        parameter = parameter.reshape(shape)
    places = zip(reversed(x.shape), reversed(parameter.shape), strict=False)
    if parameter.ndim > x.ndim or any(own not in (1, size) for size, own in places):
        raise EvaluationError(f"scales or zeros of shape {parameter.shape} for {x.shape} numbers")
    return parameter


def dequantize(x: Array, scale: Array, zero: Array | None = None, *, axis: int = 1) -> Any:
    """The floats that whole numbers stand for."""
    factor = _along(np.asarray(scale), x, axis)
    whole = x.astype(np.int32)
    if zero is not None:
        whole = whole - _along(np.asarray(zero), x, axis).astype(np.int32)
    return whole.astype(factor.dtype) * factor


def quantize(
    x: Array, scale: Array, zero: Array | None = None, *, axis: int = 1, dtype: Any = np.uint8
) -> Any:
    """The whole numbers nearest to ``x / scale + zero``, halves to even, within their dtype."""
    made = np.rint(x / _along(np.asarray(scale), x, axis))
    if zero is not None:
        made = made + _along(np.asarray(zero), x, axis).astype(x.dtype)
    bounds = np.iinfo(dtype)
    return np.clip(made, bounds.min, bounds.max).astype(dtype)


def quantize_by_range(x: Array) -> tuple[Any, Any, Any]:
    """Numbers from 0 to 255 whose range is that of x and 0; with their scale and zero."""
    low, high = min(x.min(initial=0), 0), max(x.max(initial=0), 0)
    scale = np.asarray((high - low) / 255 or 1, np.float32)
    zero = np.asarray(np.clip(np.rint(-low / scale), 0, 255), np.uint8)
    return np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.uint8), scale, zero


def matmul_whole(
    left: Array, right: Array, left_zero: Array | None = None, right_zero: Array | None = None
) -> Any:
    """The product of matrices of whole numbers, each less its zero, in 32 bits."""
    a, b = left.astype(np.int32), right.astype(np.int32)
    if left_zero is not None:
        offset = np.asarray(left_zero, np.int32)
        offset = offset[:, None] if offset.ndim == 1 and offset.size > 1 else offset
        broadcast_size(a, offset)
        a = a - offset
    if right_zero is not None:
        broadcast_size(b, right_zero)
        b = b - np.asarray(right_zero, np.int32)
    if a.ndim >= 2 and b.ndim >= 2:
        leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        check_size((*leading, a.shape[-2], b.shape[-1]), np.int32)
    return a @ b


QUANTISED: dict[str, Operation] = {
    "dequantize": dequantize,
    "quantize": quantize,
    "quantize_by_range": quantize_by_range,
    "matmul_whole": matmul_whole,
}
"""Operations on quantised numbers, by name."""
