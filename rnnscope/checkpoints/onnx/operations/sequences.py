"""ONNX's sequences of tensors, which exporters fill in loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.operations.interface import Evaluate, given, scalar
from rnnscope.model.ops import OPS, EvaluationError


def _empty(_node: OnnxNode, _inputs: list[Any]) -> Any:
    return []


def _construct(_: OnnxNode, inputs: list[Any]) -> Any:
    return list(inputs)


def _insert(_: OnnxNode, inputs: list[Any]) -> Any:
    items, place = list(inputs[0]), given(inputs, 2)
    at = len(items) if place is None else int(scalar(place))
    if not -len(items) <= at <= len(items):
        raise EvaluationError(f"it inserts at {at} of {len(items)}")
    items.insert(at, inputs[1])
    return items


def _erase(_: OnnxNode, inputs: list[Any]) -> Any:
    items, place = list(inputs[0]), given(inputs, 1)
    del items[-1 if place is None else int(scalar(place))]
    return items


def _at(_: OnnxNode, inputs: list[Any]) -> Any:
    items, place = inputs[0], int(scalar(inputs[1]))
    if not -len(items) <= place < len(items):
        raise EvaluationError(f"it takes {place} of {len(items)}")
    return items[place]


def _length(_: OnnxNode, inputs: list[Any]) -> Any:
    return np.array(len(inputs[0]), np.int64)


def _joined(node: OnnxNode, inputs: list[Any]) -> Any:
    name = "stack" if node.integer("new_axis") else "concat"
    return OPS[name](*inputs[0], axis=node.integer("axis"))


def _split(node: OnnxNode, inputs: list[Any]) -> Any:
    x, sizes, axis = inputs[0], given(inputs, 1), node.integer("axis")
    if sizes is None:
        parts = OPS["split_sizes"](x, sizes=[1] * x.shape[axis], axis=axis)
        keep = node.integer("keepdims", 1)
        return list(parts) if keep else [np.squeeze(part, axis) for part in parts]
    if not np.ndim(sizes):
        each, whole = int(scalar(sizes)), x.shape[axis]
        sizes = [min(each, whole - at) for at in range(0, whole, each)]
    return list(OPS["split_sizes"](x, sizes=np.ravel(sizes), axis=axis))


SEQUENCES: dict[str, Evaluate] = {
    "ConcatFromSequence": _joined,
    "SequenceAt": _at,
    "SequenceConstruct": _construct,
    "SequenceEmpty": _empty,
    "SequenceErase": _erase,
    "SequenceInsert": _insert,
    "SequenceLength": _length,
    "SplitToSequence": _split,
}
"""By operator."""
