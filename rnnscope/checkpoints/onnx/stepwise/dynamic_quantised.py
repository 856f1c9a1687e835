"""DynamicQuantizeLSTM of ONNX Runtime: an LSTM that quantises x and m as it meets them.

Weights are 8-bit numbers. All of x, every sequence and step of it, is quantised once, by its
smallest and largest value and 0; m is quantised anew at every step, over all sequences. So a
sequence's states depend on those beside it. The runtime gives every thread a part of the batch
and quantises m of each part by itself: what is computed here is what it does with one thread.

References
----------
onnxruntime/contrib_ops/cpu/quantization/dynamic_quantize_lstm.cc (inputs and their shapes),
core/providers/cpu/rnn/uni_directional_lstm.cc and rnn_helpers.cc (what is quantised when).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.operations.recurrent import functions_of
from rnnscope.checkpoints.onnx.stepwise.interface import States, StepCell
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, Option
from rnnscope.model.ops import OPS, EvaluationError

TITLE = "ONNX Runtime DynamicQuantizeLSTM"
W, R, B, P, W_SCALE, W_ZERO, R_SCALE, R_ZERO = 1, 2, 3, 7, 8, 9, 10, 11


@dataclass(frozen=True, eq=False)
class _Quantised:
    """Weights (input, 4·unit) of one direction: numbers, and what a step of one is worth."""

    numbers: Array
    scale: Array
    zero: Array

    def product(self, x: Array, scale_of: Array) -> Array:
        """``x @ weights`` for x (…, input), quantised by the range of `scale_of`."""
        _, scale, zero = OPS["quantize_by_range"](scale_of)
        rows = OPS["quantize"](x.reshape(-1, x.shape[-1]), scale, zero, dtype=np.uint8)
        whole = OPS["matmul_whole"](rows, self.numbers, zero, self.zero)
        made = whole.astype(np.float32) * (scale * self.scale).astype(np.float32)
        return np.asarray(made.reshape(*x.shape[:-1], -1))


def dynamic_quantised_cells(node: OnnxNode, inputs: Sequence[Any]) -> list[StepCell]:
    """The directions of a DynamicQuantizeLSTM node."""
    inputs = [*inputs, *[None] * (R_ZERO + 1 - len(inputs))]
    w, r = inputs[W], inputs[R]
    if w is None or r is None or np.ndim(w) != 3 or np.ndim(r) != 3:
        raise EvaluationError("it has no constant weights of three axes")
    units = int(r.shape[1])
    directions = len(w)
    if w.shape[2] != 4 * units or r.shape != (directions, units, 4 * units):
        raise EvaluationError(f"it has W of shape {w.shape} and R of shape {r.shape}")
    functions = functions_of(node, directions, "LSTM")
    return [
        _cell(node, inputs, number, _weights(inputs, number, W, W_SCALE),
              _weights(inputs, number, R, R_SCALE), functions[number])
        for number in range(directions)
    ]  # fmt: skip


def _weights(inputs: Sequence[Any], direction: int, role: int, scale_at: int) -> _Quantised:
    numbers = inputs[role][direction]
    scale, zero = inputs[scale_at], inputs[scale_at + 1]
    if scale is None or zero is None:
        raise EvaluationError("it has no constant scales and zeros of its weights")
    if numbers.dtype not in (np.int8, np.uint8) or zero.dtype != numbers.dtype:
        raise EvaluationError(f"it has weights of {numbers.dtype} with zeros of {zero.dtype}")
    own = np.asarray(zero[direction])
    if own.size > 1 and not bool((own == own.flat[0]).all()):
        raise EvaluationError("it has another zero in every column of its weights")
    return _Quantised(numbers, np.asarray(scale[direction], np.float32), own.reshape(-1)[:1])


def _cell(
    node: OnnxNode,
    inputs: Sequence[Any],
    number: int,
    w: _Quantised,
    r: _Quantised,
    functions: Sequence[Callable[[Array], Array]],
) -> StepCell:
    units = r.numbers.shape[0]
    bias = np.zeros(4 * units, np.float32)
    if inputs[B] is not None:
        bias = inputs[B][number][: 4 * units] + inputs[B][number][4 * units :]
    peepholes = inputs[P]
    pi, po, pf = (0, 0, 0) if peepholes is None else np.split(peepholes[number], 3)
    bound = float(node.number("clip") or np.inf)
    coupled = bool(node.integer("input_forget"))
    f, g, last = functions
    bi, bo, bf, bc = np.split(bias, 4)

    def prepare(x: Array, lengths: Array | None) -> Array:
        # Steps beyond the longest sequence are never looked at, nor do they widen the range.
        longest = x.shape[1] if lengths is None else int(np.max(lengths, initial=0))
        return w.product(x, x[:, :longest])

    def step(z: Array, state: States) -> States:
        c = state["c"]
        zi, zo, zf, zc = np.split(z + r.product(state["m"], state["m"]), 4, axis=-1)
        i = f(np.clip(zi + pi * c + bi, -bound, bound))
        forget = 1 - i if coupled else f(np.clip(zf + pf * c + bf, -bound, bound))
        new = forget * c + i * g(np.clip(zc + bc, -bound, bound))
        o = f(np.clip(zo + po * new + bo, -bound, bound))
        return {"m": o * last(new), "c": new}

    quantised = f"x and m to 8 bits by their range, weights {w.numbers.dtype}"
    return StepCell(
        TITLE, w.numbers.shape[0], {"m": units, "c": units}, prepare, step,
        (("quantisation", Option(quantised, "graph", "DynamicQuantizeLSTM, with one thread")),),
        "i o f g", together=True,
    )  # fmt: skip
