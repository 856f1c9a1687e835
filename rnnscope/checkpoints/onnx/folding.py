"""The few operators that exporters apply to weights, computed where all they read is constant.

PyTorch without constant folding reorders gates with Slice, Concat and Unsqueeze; casts and
dequantised weights are common. No result may be much larger than what it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rnnscope.checkpoints.onnx.graph import OnnxNode
from rnnscope.checkpoints.onnx.tensors import STORED
from rnnscope.model.cell import Array

MAX_MADE = 1 << 26
"""How many elements a node may make of fewer (256 MiB of float32)."""


def _axes(node: OnnxNode, values: list[Array], number: int = 1) -> tuple[int, ...] | None:
    stated = node.ints("axes")
    if stated is None and len(values) > number:
        stated = tuple(int(axis) for axis in values[number])
    return stated


def _cast(node: OnnxNode, values: list[Array]) -> Array:
    number = node.integer("to")
    wide = "<f4" if number in (10, 16) else STORED[number][0]  # 16-bit floats are kept as float32
    return values[0].astype(wide)


def _concat(node: OnnxNode, values: list[Array]) -> Array:
    _require_size(sum(value.size for value in values))
    return np.concatenate(values, axis=node.integer("axis"))


def _add(_node: OnnxNode, values: list[Array]) -> Array:
    _require_size(math.prod(np.broadcast_shapes(*(value.shape for value in values))))
    return np.add(*values)


def _multiply(_node: OnnxNode, values: list[Array]) -> Array:
    _require_size(math.prod(np.broadcast_shapes(*(value.shape for value in values))))
    return np.multiply(*values)


def _identity(_node: OnnxNode, values: list[Array]) -> Array:
    return values[0]


def _unsqueeze(node: OnnxNode, values: list[Array]) -> Array:
    return np.expand_dims(values[0], _axes(node, values) or ())


def _squeeze(node: OnnxNode, values: list[Array]) -> Array:
    return np.squeeze(values[0], _axes(node, values))


def _reshape(node: OnnxNode, values: list[Array]) -> Array:
    source = values[0]
    stated = node.ints("shape")
    target = [int(size) for size in (values[1] if stated is None else stated)]
    return source.reshape([size or source.shape[axis] for axis, size in enumerate(target)])


def _transpose(node: OnnxNode, values: list[Array]) -> Array:
    return np.transpose(values[0], node.ints("perm"))


def _slice(node: OnnxNode, values: list[Array]) -> Array:
    starts, ends = node.ints("starts"), node.ints("ends")
    if starts is None or ends is None:
        starts, ends = (tuple(int(place) for place in values[n]) for n in (1, 2))
    axes = _axes(node, values, 3) or tuple(range(len(starts)))
    steps = values[4] if len(values) > 4 and values[4].size else [1] * len(starts)
    taken: list[slice] = [slice(None)] * values[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # An end before the start of an axis means all of it where the step is negative.
        stop = None if step < 0 and end < -values[0].shape[axis] else end
        taken[axis] = slice(start, stop, int(step))
    return values[0][tuple(taken)]


def _gather(node: OnnxNode, values: list[Array]) -> Array:
    made = math.prod(values[1].shape) * (
        values[0].size // max(1, values[0].shape[node.integer("axis")])
    )
    _require_size(made)
    return np.take(values[0], values[1].astype(np.int64), axis=node.integer("axis"))


def _split(node: OnnxNode, values: list[Array]) -> list[Array]:
    sizes = node.ints("split")
    if sizes is None and len(values) > 1:
        sizes = tuple(int(size) for size in values[1])
    axis = node.integer("axis")
    if sizes is None:
        return list(np.split(values[0], len(node.outputs), axis=axis))
    return list(np.split(values[0], np.cumsum(sizes)[:-1].tolist(), axis=axis))


def _expand(_node: OnnxNode, values: list[Array]) -> Array:
    shape = np.broadcast_shapes(values[0].shape, tuple(int(size) for size in values[1]))
    _require_size(math.prod(shape))
    return np.broadcast_to(values[0], shape)


def _dequantize(node: OnnxNode, values: list[Array]) -> Array:
    scale = values[1]
    zero = values[2] if len(values) > 2 and values[2].size else np.zeros_like(scale)
    if scale.ndim:  # one for each place on an axis
        shape = [1] * values[0].ndim
        shape[node.integer("axis", 1)] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    whole = values[0].astype(np.int32) - zero.astype(np.int32)
    result: Array = whole.astype(scale.dtype) * scale
    return result


def _require_size(made: int) -> None:
    if made > MAX_MADE:
        raise ValueError(f"{made} elements")


FOLDED: dict[str, Callable[[OnnxNode, list[Array]], Array | list[Array]]] = {
    "Add": _add,
    "Cast": _cast,
    "Concat": _concat,
    "DequantizeLinear": _dequantize,
    "Expand": _expand,
    "Gather": _gather,
    "Identity": _identity,
    "Mul": _multiply,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""Operators that are computed where all they read is constant."""
