"""What TensorFlow Lite computes with whole numbers that stand for floats.

References
----------
tensorflow/lite/kernels/internal/reference/portable_tensor_utils.cc (SymmetricQuantizeFloats,
AsymmetricQuantizeFloats, MatrixBatchVectorMultiplyAccumulate) and reference/quantize.h: halves are
rounded away from zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.operations.interface import Evaluate
from rnnscope.model.cell import Array
from rnnscope.model.ops import OPS, EvaluationError, check_size

LOWEST, HIGHEST = -128, 127


def rounded(x: Array) -> Array:
    """The nearest whole number, halves away from zero."""
    made: Array = np.trunc(x + np.copysign(np.asarray(0.5, x.dtype), x))
    return made


def to_eight_bits(x: Array, *, asymmetric: bool) -> tuple[Array, Array, Array]:
    """Rows of floats as whole numbers, each by its own range: numbers, scale and zero of each row.

    Parameters
    ----------
    x : ndarray of float32 (row, value)
    asymmetric : bool
        Whether the range is that of the values, or the same on both sides of zero.
    """
    low, high = x.min(axis=1, initial=0), x.max(axis=1, initial=0)
    one = np.float32(1)
    if not asymmetric:
        reach = np.maximum(-low, high).astype(np.float32)
        known = reach > 0
        safe = np.where(known, reach, one)
        numbers = np.clip(rounded(x * (np.float32(127) / safe)[:, None]), -127, 127)
        scale = np.where(known, safe / np.float32(127), one)
        return numbers * known[:, None], scale.astype(np.float32), np.zeros(len(x), np.int32)
    wide = high.astype(np.float64) - low
    known = wide > 0
    step = np.where(known, wide, 1.0) / (HIGHEST - LOWEST)
    from_low, from_high = LOWEST - low / step, HIGHEST - high / step
    nearer = abs(LOWEST) + np.abs(low / step) < abs(HIGHEST) + np.abs(high / step)
    zero = np.clip(rounded(np.where(nearer, from_low, from_high)), LOWEST, HIGHEST) * known
    scale = np.where(known, step, 1.0).astype(np.float32)
    moved = zero.astype(np.float32)[:, None] + x * (one / scale)[:, None]
    numbers = np.clip(rounded(moved), LOWEST, HIGHEST) * known[:, None]
    return numbers, scale, zero.astype(np.int32)


def hybrid_product(x: Array, weights: Array, scales: Array, *, asymmetric: bool) -> Array:
    """``x @ weights.T`` for floats x (…, input) and 8-bit weights (output, input).

    Parameters
    ----------
    x : ndarray of float32
    weights : ndarray of int8
    scales : ndarray of float32 (1,) or (output,)
    asymmetric : bool
    """
    rows = x.reshape(-1, x.shape[-1])
    check_size((len(rows), len(weights)), np.float32)
    numbers, scale, zero = to_eight_bits(rows, asymmetric=asymmetric)
    whole = OPS["matmul_whole"](numbers, weights.T) - zero[:, None] * weights.sum(
        axis=1, dtype=np.int32
    )
    made = whole.astype(np.float32) * (scale[:, None] * scales.astype(np.float32))
    return np.asarray(made.reshape(*x.shape[:-1], -1), np.float32)


def _hybrid_matmul(node: OnnxNode, inputs: list[Any]) -> Any:
    x, weights = inputs
    if weights.dtype != np.int8 or weights.ndim != 2 or x.shape[-1] != weights.shape[1]:
        raise EvaluationError(f"it has weights of {weights.dtype} and shape {weights.shape}")
    scales = np.asarray(node.floats("scales"), np.float32)
    return hybrid_product(x, weights, scales, asymmetric=bool(node.integer("asymmetric")))


def to_grid(x: Array, scale: float, zero: int, low: int, high: int) -> Array:
    """The whole numbers that stand for floats."""
    made: Array = np.clip(rounded(np.asarray(x, np.float32) / np.float32(scale)) + zero, low, high)
    return made


def _on_grid(node: OnnxNode, inputs: list[Any]) -> Any:
    scale = node.number("scale", 0.0) or 0.0
    low, high, zero = (node.integer(name) for name in ("low", "high", "zero"))
    if not scale > 0:
        raise EvaluationError(f"it has the scale {scale}")
    whole = to_grid(inputs[0], scale, zero, low, high).astype(np.float64)
    return ((whole - zero) * np.float64(np.float32(scale))).astype(np.float32)


LITE_NUMBERS: dict[str, Evaluate] = {
    "tflite.HybridMatMul": _hybrid_matmul,
    "tflite.OnGrid": _on_grid,
}
"""By operator."""
