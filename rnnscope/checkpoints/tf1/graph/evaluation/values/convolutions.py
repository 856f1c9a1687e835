"""CONVOLUTIONS: TensorFlow's ops over windows of images and rows, and what normalises them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.values.attributes import Evaluate, integers, text
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode
from rnnscope.model.ops import OPS


def _window(node: GraphNode, key: str, places: Sequence[int], count: int) -> list[int]:
    values = integers(node, key)
    return [values[place] for place in places] if values else [1] * count


def _pads(
    node: GraphNode, sizes: Sequence[int], window: Sequence[int], strides: Sequence[int],
    dilations: Sequence[int], places: Sequence[int],
) -> list[tuple[int, int]]:  # fmt: skip
    """The padding of TensorFlow's SAME, VALID and EXPLICIT."""
    kind = text(node, "padding")
    if kind == "VALID":
        return [(0, 0)] * len(sizes)
    if kind == "EXPLICIT":
        given = integers(node, "explicit_paddings")
        return [(given[2 * place], given[2 * place + 1]) for place in places]
    found = []
    for size, width, step, spread in zip(sizes, window, strides, dilations, strict=True):
        total = max(0, (-(-size // step) - 1) * step + (width - 1) * spread + 1 - size)
        found.append((total // 2, total - total // 2))
    return found


def _spatial(node: GraphNode, x: Any) -> tuple[bool, list[int]]:
    """Whether channels stand first, and which axes are spatial."""
    rank = np.ndim(x)
    first = text(node, "data_format", "NHWC")[1] == "C"
    return first, list(range(2, rank) if first else range(1, rank - 1))


def _conv(node: GraphNode, inputs: list[Any], *, depthwise: bool = False) -> Any:
    x, kernel = inputs[0], inputs[1]
    first, places = _spatial(node, x)
    count = len(places)
    strides = _window(node, "strides", places, count)
    dilations = _window(node, "dilations", places, count)
    sizes = [x.shape[place] for place in places]
    pads = _pads(node, sizes, kernel.shape[:count], strides, dilations, places)
    channels = x if first else np.moveaxis(x, -1, 1)
    groups = 1
    if depthwise:  # (…, channel, multiplier) as filters of one channel each
        groups = kernel.shape[-2]
        kernel = kernel.reshape(*kernel.shape[:count], 1, -1)
    else:
        groups = channels.shape[1] // kernel.shape[-2]
    turned = np.moveaxis(kernel, (-1, -2), (0, 1))
    made = OPS["conv"](
        channels, turned, strides=strides, dilations=dilations, pads=pads, groups=groups
    )
    return made if first else np.moveaxis(made, 1, -1)


def _pool(kind: str) -> Evaluate:
    def evaluate(node: GraphNode, inputs: list[Any]) -> Any:
        x = inputs[0]
        first, places = _spatial(node, x)
        window = _window(node, "ksize", places, len(places))
        strides = _window(node, "strides", places, len(places))
        sizes = [x.shape[place] for place in places]
        pads = _pads(node, sizes, window, strides, [1] * len(places), places)
        channels = x if first else np.moveaxis(x, -1, 1)
        made = OPS["pool"](channels, kind=kind, size=window, strides=strides, pads=pads)
        return made if first else np.moveaxis(made, 1, -1)

    return evaluate


def _batch_norm(node: GraphNode, inputs: list[Any]) -> Any:
    training = bool(node.attr["is_training"].b) if "is_training" in node.attr else True
    x, scale, offset, mean, variance = inputs[:5]
    first = text(node, "data_format", "NHWC")[1] == "C"
    if training:  # the batch's own statistics, as the graph says
        axes = tuple(axis for axis in range(x.ndim) if axis != (1 if first else x.ndim - 1))
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
    epsilon = node.number("epsilon", 1e-4)
    made = OPS["batch_norm"](
        x, scale, offset, mean, variance, epsilon=epsilon, channels_first=first
    )
    return (made, mean, variance, mean, variance)


CONVOLUTIONS: dict[str, Evaluate] = {
    "Conv1D": _conv,
    "Conv2D": _conv,
    "Conv3D": _conv,
    "DepthwiseConv2dNative": lambda node, v: _conv(node, v, depthwise=True),
    "MaxPool": _pool("max"),
    "AvgPool": _pool("mean"),
    "MaxPool3D": _pool("max"),
    "AvgPool3D": _pool("mean"),
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
}
"""Convolutions, pooling and batch normalisation."""
