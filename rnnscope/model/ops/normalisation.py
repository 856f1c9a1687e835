"""Normalisations other than those of batches and layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import Operation


def group_norm(
    x: Array, scale: Array | None, offset: Array | None, *, groups: int, epsilon: float
) -> Any:
    """Each group of channels of (batch, channel, …) by its own mean and variance.

    As many groups as channels make instance normalisation.
    """
    batch, channels = x.shape[:2]
    parts = x.reshape(batch, groups, -1)
    centred = parts - parts.mean(axis=-1, keepdims=True)
    variance = np.mean(np.square(centred), axis=-1, keepdims=True)
    normal = (centred / np.sqrt(variance + x.dtype.type(epsilon))).reshape(x.shape)
    shape = (1, channels) + (1,) * (x.ndim - 2)
    if scale is not None:
        normal = normal * scale.reshape(shape)
    return normal if offset is None else normal + offset.reshape(shape)


def rms_norm(x: Array, scale: Array, *, axis: int, epsilon: float) -> Any:
    """Values divided by the root of the mean of their squares over the axes from `axis` on."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    power = np.mean(np.square(x), axis=axes, keepdims=True)
    return x / np.sqrt(power + x.dtype.type(epsilon)) * scale


def norm_of(x: Array, *, axis: int, order: int) -> Any:
    """Values divided by their norm along an axis; zeros where it is zero."""
    total = (
        np.sum(np.abs(x), axis=axis, keepdims=True)
        if order == 1
        else np.sqrt(np.sum(np.square(x), axis=axis, keepdims=True))
    )
    return np.divide(x, total, out=np.zeros_like(x), where=total != 0)


def response_norm(x: Array, *, size: int, alpha: float, beta: float, bias: float) -> Any:
    """Krizhevsky et al. (2012): each channel by the squares of those beside it."""
    squares = np.pad(np.square(x), [(0, 0), ((size - 1) // 2, size // 2)] + [(0, 0)] * (x.ndim - 2))
    seen = np.lib.stride_tricks.sliding_window_view(squares, size, axis=1).sum(axis=-1)
    kind = x.dtype.type
    return x / (kind(bias) + kind(alpha / size) * seen) ** kind(beta)


NORMALISATION: dict[str, Operation] = {
    "group_norm": group_norm,
    "rms_norm": rms_norm,
    "norm_of": norm_of,
    "response_norm": response_norm,
}
"""Normalisations, by name."""
