"""ONNX's operators along axes: sums, extremes, softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.operations.interface import Evaluate, ints, scalar
from rnnscope.model.ops import OPS, EvaluationError


def _reduce(name: str, before: str = "", after: str = "") -> Evaluate:
    """A reduction, with an operation on every element before it, and one after it."""
    operation = OPS[name]

    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        axes = ints(node, inputs, "axes", 1)
        x = OPS[before](inputs[0]) if before else inputs[0]
        if axes:
            made = operation(x, axes, keepdims=bool(node.integer("keepdims", 1)))
        elif axes is not None and not node.integer("noop_with_empty_axes"):
            made = operation(x, None, keepdims=bool(node.integer("keepdims", 1)))
        elif node.integer("noop_with_empty_axes"):
            return inputs[0]
        else:
            made = operation(x, None, keepdims=bool(node.integer("keepdims", 1)))
        return OPS[after](made) if after else made

    return evaluate


def _on_rows(name: str) -> Evaluate:
    """Softmax and its like: before operator set 13 over all axes from one on, taken as one."""
    operation = OPS[name]

    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        x = inputs[0]
        if node.opset >= 13:
            return operation(x, axis=node.integer("axis", -1))
        axis = node.integer("axis", 1) % max(1, x.ndim)
        rows = x.reshape(math.prod(x.shape[:axis]), -1)
        return operation(rows, axis=-1).reshape(x.shape)

    return evaluate


def _place_of(name: str) -> Evaluate:
    operation = OPS[name]

    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        x, axis = inputs[0], node.integer("axis")
        keep = bool(node.integer("keepdims", 1))
        if not node.integer("select_last_index"):
            return operation(x, axis=axis, keepdims=keep)
        return x.shape[axis] - 1 - operation(np.flip(x, axis), axis=axis, keepdims=keep)

    return evaluate


def _cumulative_sum(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["cumulative_sum"](
        *inputs, exclusive=bool(node.integer("exclusive")), reverse=bool(node.integer("reverse"))
    )


def _top_k(node: OnnxNode, inputs: list[Any]) -> Any:
    x, axis = inputs[0], node.integer("axis", -1)
    count = node.integer("k") if node.opset < 10 else int(scalar(inputs[1]))
    if not 0 <= count <= x.shape[axis]:
        raise EvaluationError(f"it wants {count} of {x.shape[axis]}")
    rows = np.moveaxis(x, axis, -1)
    if node.integer("largest", 1):
        values, places = OPS["top_k"](rows, count)
    else:  # the first of equal ones comes first here, too
        places = np.argsort(rows, axis=-1, kind="stable")[..., :count]
        values = np.take_along_axis(rows, places, axis=-1)
    return np.moveaxis(values, -1, axis), np.moveaxis(places, -1, axis).astype(np.int64)


REDUCTIONS: dict[str, Evaluate] = {
    "ArgMax": _place_of("argmax"),
    "ArgMin": _place_of("argmin"),
    "CumSum": _cumulative_sum,
    "Hardmax": _on_rows("hot_largest"),
    "LogSoftmax": _on_rows("log_softmax"),
    "ReduceL1": _reduce("sum", before="absolute"),
    "ReduceL2": _reduce("sum", before="square", after="sqrt"),
    "ReduceLogSum": _reduce("sum", after="log"),
    "ReduceLogSumExp": _reduce("log_sum_exp"),
    "ReduceMax": _reduce("max"),
    "ReduceMean": _reduce("mean"),
    "ReduceMin": _reduce("min"),
    "ReduceProd": _reduce("product"),
    "ReduceSum": _reduce("sum"),
    "ReduceSumSquare": _reduce("sum", before="square"),
    "Softmax": _on_rows("softmax"),
    "TopK": _top_k,
}
"""By operator."""
