"""Operations that join elements along axes: sums, means, extremes, softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import Operation


def _axes(axes: Any) -> tuple[int, ...] | None:
    return None if axes is None else tuple(int(axis) for axis in np.ravel(axes))


def _over(function: Any) -> Operation:
    def operation(x: Array, axes: Any = None, *, keepdims: bool = False) -> Any:
        along = _axes(axes)
        if along == ():
            return x
        return np.asarray(function(x, axis=along, keepdims=keepdims), x.dtype)

    return operation


def _to_truth(function: Any) -> Operation:
    def operation(x: Array, axes: Any = None, *, keepdims: bool = False) -> Any:
        return np.asarray(function(x, axis=_axes(axes), keepdims=keepdims))

    return operation


def argmax(x: Array, *, axis: int, dtype: Any = np.int64, keepdims: bool = False) -> Any:
    """The index of the first largest element along an axis."""
    return np.argmax(x, axis=axis, keepdims=keepdims).astype(dtype)


def argmin(x: Array, *, axis: int, dtype: Any = np.int64, keepdims: bool = False) -> Any:
    """The index of the first smallest element along an axis."""
    return np.argmin(x, axis=axis, keepdims=keepdims).astype(dtype)


def softmax(x: Array, *, axis: int = -1) -> Any:
    """Exponentials divided by their sum along an axis."""
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def log_softmax(x: Array, *, axis: int = -1) -> Any:
    """The logarithm of `softmax`."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def log_sum_exp(x: Array, axes: Any = None, *, keepdims: bool = False) -> Any:
    """The logarithm of a sum of exponentials."""
    largest = np.max(x, axis=_axes(axes), keepdims=True, initial=-np.inf)
    largest = np.where(np.isfinite(largest), largest, x.dtype.type(0))
    total = np.log(np.sum(np.exp(x - largest), axis=_axes(axes), keepdims=True)) + largest
    return total if keepdims else np.squeeze(total, _axes(axes))


def cumulative_sum(x: Array, axis: Any, *, exclusive: bool = False, reverse: bool = False) -> Any:
    """Sums of all elements up to each, with or without it, from either end."""
    along = int(np.ravel(axis)[0])
    turned = np.flip(x, along) if reverse else x
    total = np.cumsum(turned, axis=along, dtype=x.dtype)
    if exclusive:
        total = total - turned
    return np.flip(total, along) if reverse else total


def top_k(x: Array, k: Any) -> tuple[Array, Array]:
    """The k largest along the last axis, and where they are; of equal ones the first is first."""
    # Turned round twice, for numbers without a sign have no negatives.
    last_first = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    order = (x.shape[-1] - 1 - last_first)[..., : int(np.ravel(k)[0])]
    return np.take_along_axis(x, order, axis=-1), order.astype(np.int32)


REDUCTIONS: dict[str, Operation] = {
    "sum": _over(np.sum),
    "mean": _over(np.mean),
    "product": _over(np.prod),
    "max": _over(np.max),
    "min": _over(np.min),
    "any": _to_truth(np.any),
    "all": _to_truth(np.all),
    "argmax": argmax,
    "argmin": argmin,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "log_sum_exp": log_sum_exp,
    "cumulative_sum": cumulative_sum,
    "top_k": top_k,
}
"""Operations along axes, by name."""
