"""Products of matrices, convolutions, pooling, and the normalisations that follow them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import EvaluationError, Operation, broadcast_size, check_size


def matmul(left: Array, right: Array, *, turn_left: bool = False, turn_right: bool = False) -> Any:
    """The product of matrices, or of stacks of them; either may be transposed first."""
    a = np.swapaxes(left, -1, -2) if turn_left else left
    b = np.swapaxes(right, -1, -2) if turn_right else right
    if a.ndim >= 2 and b.ndim >= 2:
        leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        check_size((*leading, a.shape[-2], b.shape[-1]), np.result_type(a, b))
    return np.matmul(a, b)


def einsum(*arrays: Array, equation: str) -> Any:
    """Einstein's sum over the letters of an equation."""
    sides = equation.replace(" ", "")
    if not set(sides) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,->."):
        raise EvaluationError(f"the equation '{equation}' is none of einsum's")
    return np.asarray(np.einsum(sides, *arrays))


def bias_add(x: Array, bias: Array, *, channels_first: bool = False) -> Any:
    """A bias for each channel, which is the last axis or the second."""
    if channels_first and x.ndim > 2:
        bias = np.reshape(bias, (-1,) + (1,) * (x.ndim - 2))
    broadcast_size(x, bias)
    return x + bias


def windows(x: Array, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Any:
    """Every window over the last axes of x: (…, place in each axis, element in each axis)."""
    spatial = len(size)
    reach = [(n - 1) * d + 1 for n, d in zip(size, dilations, strict=True)]
    if any(n > have for n, have in zip(reach, x.shape[-spatial:], strict=True)):
        raise EvaluationError(f"a window of {tuple(size)} does not fit an input of {x.shape}")
    axes = tuple(range(-spatial, 0))
    seen: Any = np.lib.stride_tricks.sliding_window_view(x, reach, axis=axes)
    every = [slice(None, None, step) for step in strides]
    inside = [slice(None, None, step) for step in dilations]
    index: tuple[Any, ...] = (..., *every, *inside)
    return seen[index]


def conv(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[tuple[int, int]],
    groups: int = 1,
) -> Any:
    """A convolution over any number of spatial axes (a correlation, as all frameworks mean it).

    Parameters
    ----------
    x : ndarray (batch, channel, …)
    kernel : ndarray (filter, channel // groups, …)
    bias : ndarray (filter,), optional
    strides, dilations : sequence of int
        One for each spatial axis.
    pads : sequence of (int, int)
        Zeros before and after, for each spatial axis.
    groups : int

    Returns
    -------
    ndarray (batch, filter, …)
    """
    spatial = kernel.ndim - 2
    padded = np.pad(x, [(0, 0), (0, 0), *((int(a), int(b)) for a, b in pads)])
    seen = windows(padded, kernel.shape[2:], strides, dilations)
    batch, places = x.shape[0], seen.shape[2 : 2 + spatial]
    check_size((seen.size,), x.dtype)
    rows = np.moveaxis(seen, 1, 1 + spatial).reshape(batch, *places, groups, -1)
    per_group = kernel.reshape(groups, kernel.shape[0] // groups, -1)
    made = np.einsum("b...gk,gfk->b...gf", rows, per_group, optimize=True)
    result = np.moveaxis(made.reshape(batch, *places, kernel.shape[0]), -1, 1)
    return result if bias is None else bias_add(result, bias, channels_first=True)


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


def pool(
    x: Array,
    *,
    kind: str,
    size: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[tuple[int, int]],
    dilations: Sequence[int] | None = None,
    count_padding: bool = False,
) -> Any:
    """The largest element, or the mean, of windows over the spatial axes of (batch, channel, …).

    `kind` is ``max`` or ``mean``; a mean counts padding only where `count_padding`.
    """
    spatial = len(size)
    steps = [1] * spatial if dilations is None else dilations
    widths = [(0, 0), (0, 0), *((int(a), int(b)) for a, b in pads)]
    axes = tuple(range(-spatial, 0))
    if kind == "max":
        filled = np.pad(x, widths, constant_values=-np.inf)
        return windows(filled, size, strides, steps).max(axis=axes)
    total = windows(np.pad(x, widths), size, strides, steps).sum(axis=axes)
    counted = np.pad(np.ones_like(x), widths, constant_values=float(count_padding))
    counts = windows(counted, size, strides, steps).sum(axis=axes)
    return np.asarray(total / counts, x.dtype)


def batch_norm(
    x: Array, scale: Array, offset: Array, mean: Array, variance: Array,
    *, epsilon: float, channels_first: bool,
) -> Any:  # fmt: skip
    """Normalisation by stored means and variances of channels, at inference."""
    shape = (-1,) + (1,) * (x.ndim - 2) if channels_first else (-1,)
    kind = x.dtype.type
    factor = scale / np.sqrt(variance + kind(epsilon))
    return (x - mean.reshape(shape)) * factor.reshape(shape) + offset.reshape(shape)


def layer_norm(
    x: Array, scale: Array, offset: Array | None = None, *, axis: int, epsilon: float
) -> Any:
    """Normalisation by the mean and variance of the axes from `axis` on."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    centred = x - np.mean(x, axis=axes, keepdims=True)
    variance = np.mean(np.square(centred), axis=axes, keepdims=True)
    normal = centred / np.sqrt(variance + x.dtype.type(epsilon)) * scale
    return normal if offset is None else normal + offset


LINEAR: dict[str, Operation] = {
    "matmul": matmul,
    "einsum": einsum,
    "bias_add": bias_add,
    "conv": conv,
    "conv_transposed": conv_transposed,
    "pool": pool,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
}
"""Products of matrices and what goes with them, by name."""
