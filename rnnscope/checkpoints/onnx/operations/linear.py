"""ONNX's products of matrices, convolutions, pooling, normalisations and quantised products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.element_types import LIKE
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import PACKED
from rnnscope.checkpoints.onnx.operations.interface import Evaluate, given, plain
from rnnscope.model.ops import OPS, EvaluationError


def _gemm(node: OnnxNode, inputs: list[Any]) -> Any:
    a, b = inputs[:2]
    c = given(inputs, 2)
    kind = a.dtype.type
    made = kind(node.number("alpha", 1.0)) * OPS["matmul"](
        a, b, turn_left=bool(node.integer("transA")), turn_right=bool(node.integer("transB"))
    )
    return made if c is None else made + kind(node.number("beta", 1.0)) * c


def _einsum(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["einsum"](*inputs, equation=node.text("equation"))


def _windows(
    node: OnnxNode, size: Sequence[int], spatial: Sequence[int]
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Strides, dilations, and what is added on either side of each axis."""
    count = len(size)
    strides = list(node.ints("strides") or (1,) * count)
    dilations = list(node.ints("dilations") or (1,) * count)
    reach = [(n - 1) * d + 1 for n, d in zip(size, dilations, strict=True)]
    how = node.text("auto_pad", "NOTSET")
    if how in ("SAME_UPPER", "SAME_LOWER"):
        whole = [
            max(0, (-(-n // s) - 1) * s + r - n)
            for n, s, r in zip(spatial, strides, reach, strict=True)
        ]
        pads = [(n // 2, n - n // 2) for n in whole]
        if how == "SAME_LOWER":
            pads = [(after, before) for before, after in pads]
    else:
        stated = node.ints("pads") if how == "NOTSET" else None
        flat = list(stated or (0,) * (2 * count))
        pads = list(zip(flat[:count], flat[count:], strict=True))
    return strides, dilations, pads


def _conv(node: OnnxNode, inputs: list[Any]) -> Any:
    x, kernel = inputs[:2]
    strides, dilations, pads = _windows(node, kernel.shape[2:], x.shape[2:])
    return OPS["conv"](
        x, kernel, given(inputs, 2), strides=strides, dilations=dilations, pads=pads,
        groups=node.integer("group", 1),
    )  # fmt: skip


def _conv_transpose(node: OnnxNode, inputs: list[Any]) -> Any:
    x, kernel = inputs[:2]
    size, spatial = kernel.shape[2:], x.shape[2:]
    count = len(size)
    strides = list(node.ints("strides") or (1,) * count)
    dilations = list(node.ints("dilations") or (1,) * count)
    extra = list(node.ints("output_padding") or (0,) * count)
    wanted, how = node.ints("output_shape"), node.text("auto_pad", "NOTSET")
    flat = list(node.ints("pads") or (0,) * (2 * count))
    pads = list(zip(flat[:count], flat[count:], strict=True))
    if wanted is not None or how.startswith("SAME"):
        goal = wanted or [n * s for n, s in zip(spatial, strides, strict=True)]
        pads = []
        for n, k, s, d, e, g in zip(spatial, size, strides, dilations, extra, goal, strict=True):
            cut = s * (n - 1) + e + (k - 1) * d + 1 - g
            if cut < 0:
                raise EvaluationError("it is made larger")
            half = cut // 2
            pads.append((half, cut - half) if how == "SAME_UPPER" else (cut - half, half))
    return OPS["conv_transposed"](
        x, kernel, given(inputs, 2), strides=strides, dilations=dilations, pads=pads,
        extra=extra, groups=node.integer("group", 1),
    )  # fmt: skip


def _pool(kind: str) -> Evaluate:
    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        x = inputs[0]
        size = node.ints("kernel_shape") or ()
        strides, dilations, pads = _windows(node, size, x.shape[2:])
        if node.integer("ceil_mode"):
            pads = _rounded_up(node, x.shape[2:], size, strides, dilations, pads, kind)
        return OPS["pool"](
            x, kind=kind, size=size, strides=strides, pads=pads, dilations=dilations,
            count_padding=bool(node.integer("count_include_pad")),
        )  # fmt: skip

    return evaluate


def _rounded_up(
    node: OnnxNode,
    spatial: Sequence[int],
    size: Sequence[int],
    strides: list[int],
    dilations: list[int],
    pads: list[tuple[int, int]],
    kind: str,
) -> list[tuple[int, int]]:
    """Padding that lets a last window begin that does not lie within the input."""
    made = []
    for n, k, s, d, (before, after) in zip(spatial, size, strides, dilations, pads, strict=True):
        span = n + before + after - ((k - 1) * d + 1)
        windows = math.ceil(span / s) + 1
        if (windows - 1) * s >= n + before:  # it would begin beyond the end
            windows -= 1
        more = max(0, (windows - 1) * s - span)
        if more and kind == "mean" and node.integer("count_include_pad"):
            raise EvaluationError("it counts windows cut off")
        made.append((before, after + more))
    return made


def _global_pool(name: str) -> Evaluate:
    operation = OPS[name]
    return lambda _, inputs: operation(inputs[0], range(2, inputs[0].ndim), keepdims=True)


def _batch_normalization(node: OnnxNode, inputs: list[Any]) -> Any:
    # From operator set 7 to 13, a node that hands on means and variances is one in training.
    told = not node.integer("is_test") if node.opset < 7 else node.integer("training_mode")
    if told or (node.opset in range(7, 14) and any(node.outputs[1:])):
        raise EvaluationError("it is in training mode")
    if not node.integer("spatial", 1):
        raise EvaluationError("it has one mean for each place")
    return OPS["batch_norm"](
        *inputs, epsilon=node.number("epsilon", 1e-5), channels_first=inputs[0].ndim > 1
    )


def _layer_normalization(node: OnnxNode, inputs: list[Any]) -> Any:
    x, axis, epsilon = inputs[0], node.integer("axis", -1), node.number("epsilon", 1e-5)
    made = OPS["layer_norm"](*inputs, axis=axis, epsilon=epsilon)
    if not any(node.outputs[1:]):
        return made
    axes = range(axis % x.ndim, x.ndim)
    mean = OPS["mean"](x, axes, keepdims=True)
    variance = OPS["mean"](OPS["square"](x - mean), axes, keepdims=True)
    return made, mean, OPS["rsqrt"](variance + x.dtype.type(epsilon))


def _rms_normalization(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["rms_norm"](
        *inputs, axis=node.integer("axis", -1), epsilon=node.number("epsilon", 1e-5)
    )


def _instance_normalization(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["group_norm"](
        *inputs, groups=inputs[0].shape[1], epsilon=node.number("epsilon", 1e-5)
    )


def _group_normalization(node: OnnxNode, inputs: list[Any]) -> Any:
    x, scale, offset = inputs
    groups = node.integer("num_groups")
    if node.opset < 21:  # one for each group
        each = x.shape[1] // groups
        scale, offset = np.repeat(scale, each), np.repeat(offset, each)
    return OPS["group_norm"](x, scale, offset, groups=groups, epsilon=node.number("epsilon", 1e-5))


def _lp_normalization(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["norm_of"](inputs[0], axis=node.integer("axis", -1), order=node.integer("p", 2))


def _lrn(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["response_norm"](
        inputs[0], size=node.integer("size"), alpha=node.number("alpha", 1e-4),
        beta=node.number("beta", 0.75), bias=node.number("bias", 1.0),
    )  # fmt: skip


def _mean_variance(node: OnnxNode, inputs: list[Any]) -> Any:
    x, axes = inputs[0], node.ints("axes") or (0, 2, 3)
    mean = OPS["mean"](x, axes, keepdims=True)
    variance = OPS["mean"](OPS["square"](x), axes, keepdims=True) - OPS["square"](mean)
    return (x - mean) / (OPS["sqrt"](variance) + x.dtype.type(1e-9))


def _dequantize(node: OnnxNode, inputs: list[Any]) -> Any:
    if node.integer("block_size"):
        raise EvaluationError("it has scales for blocks")
    return OPS["dequantize"](*inputs, axis=node.integer("axis", 1))


def _quantize(node: OnnxNode, inputs: list[Any]) -> Any:
    zero = given(inputs, 2)
    dtype = np.dtype(np.uint8) if zero is None else zero.dtype
    narrow = dtype.kind not in "iu" or node.integer(LIKE) in PACKED
    if node.integer("block_size") or node.integer("output_dtype") or narrow:
        raise EvaluationError("it has scales for blocks, or "
                              "makes numbers of another kind")  # fmt: skip
    return OPS["quantize"](*inputs, axis=node.integer("axis", 1), dtype=dtype)


LINEAR: dict[str, Evaluate] = {
    "AveragePool": _pool("mean"),
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": plain("quantize_by_range"),
    "Einsum": _einsum,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool("mean"),
    "GlobalMaxPool": _global_pool("max"),
    "GroupNormalization": _group_normalization,
    "InstanceNormalization": _instance_normalization,
    "LRN": _lrn,
    "LayerNormalization": _layer_normalization,
    "LpNormalization": _lp_normalization,
    "MatMul": plain("matmul"),
    "MatMulInteger": plain("matmul_whole"),
    "MaxPool": _pool("max"),
    "MeanVarianceNormalization": _mean_variance,
    "QuantizeLinear": _quantize,
    "RMSNormalization": _rms_normalization,
}
"""By operator."""
