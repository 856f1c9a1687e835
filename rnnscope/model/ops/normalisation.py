"""Normalisations other than those of batches and layers, and convolutions turned round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import Operation, check_size
from rnnscope.model.ops.linear import bias_add


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


def conv_transposed(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[tuple[int, int]],
    extra: Sequence[int],
    groups: int = 1,
) -> Any:
    """A convolution turned round: each value adds the kernel to the places that it came from.

    Parameters
    ----------
    x : ndarray (batch, channel, …)
    kernel : ndarray (channel, filter // groups, …)
    bias : ndarray (filter,), optional
    strides, dilations, extra : sequence of int
        One for each spatial axis; `extra` places are added at the end.
    pads : sequence of (int, int)
        Places that are cut off before and after.
    groups : int

    Returns
    -------
    ndarray (batch, filter, …)
    """
    spatial, size = kernel.ndim - 2, kernel.shape[2:]
    batch, channels = x.shape[:2]
    filters = kernel.shape[1] * groups
    reach = [(n - 1) * d + 1 for n, d in zip(size, dilations, strict=True)]
    whole = [(n - 1) * s + r + e
             for n, s, r, e in zip(x.shape[2:], strides, reach, extra, strict=True)]  # fmt: skip
    made = np.zeros(check_size((batch, filters, *whole), x.dtype), x.dtype)
    by_group = x.reshape(batch, groups, channels // groups, *x.shape[2:])
    kernels = kernel.reshape(groups, channels // groups, kernel.shape[1], *size)
    for place in np.ndindex(*size):
        here = kernels[(slice(None),) * 3 + place]
        part = np.einsum("bgc...,gcf->bgf...", by_group, here)
        where: tuple[Any, ...] = tuple(
            slice(at * d, at * d + (n - 1) * s + 1, s)
            for at, d, n, s in zip(place, dilations, x.shape[2:], strides, strict=True)
        )
        places = (slice(None), slice(None), *where)
        made[places] += part.reshape(batch, filters, *x.shape[2:])
    inner = [slice(a, n - b) for (a, b), n in zip(pads, whole, strict=True)]
    kept: tuple[Any, ...] = (slice(None), slice(None), *inner)
    cut = made[kept]
    return cut if bias is None else bias_add(cut, bias, channels_first=spatial > 0)


NORMALISATION: dict[str, Operation] = {
    "group_norm": group_norm,
    "rms_norm": rms_norm,
    "norm_of": norm_of,
    "response_norm": response_norm,
    "conv_transposed": conv_transposed,
}
"""Normalisations and the like, by name."""
