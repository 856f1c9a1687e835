"""ONNX's operators that move elements about, pick them, or make arrays of constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.operations.interface import (
    Evaluate,
    dtype_of,
    given,
    ints,
    plain,
    scalar,
)
from rnnscope.model.ops import OPS, EvaluationError


def _reshape(node: OnnxNode, inputs: list[Any]) -> Any:
    target = ints(node, inputs, "shape", 1) or []
    if not node.integer("allowzero"):
        target = [size or inputs[0].shape[axis] for axis, size in enumerate(target)]
    return OPS["reshape"](inputs[0], target)


def _flatten(node: OnnxNode, inputs: list[Any]) -> Any:
    axis = node.integer("axis", 1)
    shape = inputs[0].shape
    axis = axis + len(shape) if axis < 0 else axis
    return OPS["reshape"](inputs[0], (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _transpose(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["transpose"](inputs[0], node.ints("perm"))


def _squeeze(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["squeeze"](inputs[0], ints(node, inputs, "axes", 1))


def _unsqueeze(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["expand_dims"](inputs[0], ints(node, inputs, "axes", 1))


def _concat(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["concat"](*inputs, axis=node.integer("axis", 1))


def _slice(node: OnnxNode, inputs: list[Any]) -> Any:
    starts, ends, axes, steps = (
        ints(node, inputs, name, number)
        for number, name in enumerate(("starts", "ends", "axes", "steps"), start=1)
    )
    return OPS["slice_axes"](inputs[0], starts, ends, axes, steps)


def _split(node: OnnxNode, inputs: list[Any]) -> Any:
    axis = node.integer("axis")
    sizes = ints(node, inputs, "split", 1)
    if sizes is None:
        whole, count = inputs[0].shape[axis], node.integer("num_outputs", len(node.outputs))
        each = -(-whole // count)
        sizes = [min(each, max(0, whole - each * number)) for number in range(count)]
    return OPS["split_sizes"](inputs[0], sizes=sizes, axis=axis)


def _pad(node: OnnxNode, inputs: list[Any]) -> Any:
    x = inputs[0]
    widths = ints(node, inputs, "pads", 1) or list(node.ints("paddings") or ())
    value = node.number("value", 0.0) if node.opset < 11 else given(inputs, 2)
    axes = given(inputs, 3)
    along = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in np.ravel(axes)]
    pairs = np.zeros((x.ndim, 2), np.int64)
    for place, axis in enumerate(along):
        pairs[axis] = widths[place], widths[place + len(widths) // 2]
    filled = 0 if value is None or not np.size(value) else scalar(value)
    return OPS["pad"](x, pairs, value=filled, mode=node.text("mode", "constant"))


def _tile(node: OnnxNode, inputs: list[Any]) -> Any:
    counts = inputs[1]
    if node.opset < 6:  # how often, along one axis
        counts = np.ones(inputs[0].ndim, np.int64)
        counts[scalar(inputs[2])] = scalar(inputs[1])
    return OPS["tile"](inputs[0], counts)


def _gather(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["gather"](*inputs, axis=node.integer("axis"))


def _gather_elements(node: OnnxNode, inputs: list[Any]) -> Any:
    x, indices = inputs
    axis = node.integer("axis")
    size = x.shape[axis]
    if np.any((indices < -size) | (indices >= size)):
        raise EvaluationError(f"an index lies outside of the {size} entries it picks from")
    return OPS["gather_elements"](x, indices, axis=axis)


def _gather_nd(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["gather_nd"](*inputs, batch=node.integer("batch_dims"))


def _scatter_elements(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["place_elements"](
        *inputs, axis=node.integer("axis"), reduction=node.text("reduction", "none")
    )


def _scatter_nd(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["place_nd"](*inputs, reduction=node.text("reduction", "none"))


def _compress(node: OnnxNode, inputs: list[Any]) -> Any:
    axis = node.integer("axis") if "axis" in node.attributes else None
    return OPS["compress"](*inputs, axis=axis)


def _one_hot(node: OnnxNode, inputs: list[Any]) -> Any:
    indices, depth, values = inputs
    size = int(scalar(depth))
    where = np.asarray(indices, np.int64)
    return OPS["one_hot"](
        np.where(where < 0, where + size, where), size, values[1], values[0],
        axis=node.integer("axis", -1),
    )  # fmt: skip


def _reverse_sequence(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["reverse_sequence"](
        *inputs, time_axis=node.integer("time_axis"), batch_axis=node.integer("batch_axis", 1)
    )


def _shape(node: OnnxNode, inputs: list[Any]) -> Any:
    whole = OPS["shape"](inputs[0])
    end = node.integer("end", len(whole)) if "end" in node.attributes else len(whole)
    return whole[slice(node.integer("start"), end)]


def _range(_: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["arange"](*inputs).astype(inputs[0].dtype)


def _non_zero(_: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["nonzero"](inputs[0]).T


def _trilu(node: OnnxNode, inputs: list[Any]) -> Any:
    diagonal = given(inputs, 1)
    return OPS["triangle"](
        inputs[0], diagonal=0 if diagonal is None else int(scalar(diagonal)),
        upper=bool(node.integer("upper", 1)),
    )  # fmt: skip


def _eye_like(node: OnnxNode, inputs: list[Any]) -> Any:
    x = inputs[0]
    stated = "dtype" in node.attributes
    dtype = dtype_of(node.integer("dtype")) if stated else x.dtype
    return OPS["eye"](*x.shape, diagonal=node.integer("k"), dtype=dtype)


def _depth_to_space(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["depth_to_space"](
        inputs[0], block=node.integer("blocksize"), column_first=node.text("mode", "DCR") == "CRD"
    )


def _space_to_depth(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["space_to_depth"](
        inputs[0], block=node.integer("blocksize"), column_first=node.text("mode", "DCR") == "CRD"
    )


def _dropout(_: OnnxNode, inputs: list[Any]) -> Any:
    training, ratio = given(inputs, 2), given(inputs, 1)
    if training is not None and scalar(training) and (ratio is None or scalar(ratio)):
        raise EvaluationError("it is in training mode")
    return inputs[0], np.ones(inputs[0].shape, bool)


SHAPES: dict[str, Evaluate] = {
    "Compress": _compress,
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Dropout": _dropout,
    "Expand": plain("expand"),
    "EyeLike": _eye_like,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "NonZero": _non_zero,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "ReverseSequence": _reverse_sequence,
    "Scatter": _scatter_elements,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Shape": _shape,
    "Size": plain("size"),
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
"""By operator."""
