"""The sequence LSTM of TensorFlow Lite with whole numbers: x and m of 8 bits, c of 16.

Every product is rounded to the next whole number of its result's grid; the gates have 12
fractional bits before their activations, and 15 behind them. States are told as the floats that
their numbers stand for.

References
----------
tensorflow/lite/kernels/lstm_eval.cc (LstmStepInteger8x8_16), unidirectional_sequence_lstm.cc
(PopulateQuantizedLstmParams8x8_16, PopulatePrecomputedZPTimesWeightsWithBias) and
internal/reference/portable_tensor_utils.cc.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rnnscope.checkpoints.onnx.stepwise.fixed_point import (
    divided_by_power,
    multiplied,
    multiplier_of,
    saturated,
    sigmoid,
    tanh,
)
from rnnscope.checkpoints.onnx.stepwise.interface import States, StepCell
from rnnscope.checkpoints.onnx.stepwise.lite_lstm import stated
from rnnscope.checkpoints.onnx.stepwise.lite_numbers import to_grid
from rnnscope.checkpoints.onnx.stepwise.lite_weights import (
    GATES,
    INPUT,
    INTERMEDIATES,
    RESULT,
    ROLES,
    LiteWeights,
)
from rnnscope.model.cell import Array, Option
from rnnscope.model.ops import EvaluationError

TITLE = "TensorFlow Lite LSTM (whole numbers)"
GATE_SCALE = 2.0**-12
HIDDEN = INTERMEDIATES + 4
LOWEST, HIGHEST = -128, 127
ONE = (1 << 15) - 1


def integer_cell(weights: LiteWeights) -> StepCell:
    """The cell of weights that are 8-bit numbers, over an input that is."""
    kernel = _Kernel(weights)
    options = stated(weights)
    words = "x and m 8 bits, c 16 bits"
    return StepCell(
        TITLE, weights.input_size, {"m": weights.output_size, "c": weights.units},
        kernel.prepare, kernel.step,
        (*options, ("quantisation", Option(words, "graph", "the scales of its tensors"))),
        " ".join(GATES),
    )  # fmt: skip


class _Kernel:
    """What is known of a node before its first step.

    Parameters
    ----------
    weights : LiteWeights

    Raises
    ------
    EvaluationError
        The operator knows no such node, or it is not computed here.
    """

    def __init__(self, weights: LiteWeights) -> None:
        self._weights = weights
        _require(weights)
        self._x, self._m = self._grid(INPUT), self._grid(ROLES["state_m"])
        self._cell_scale = weights.scale("state_c")
        self._bits = 15 + round(math.log2(self._cell_scale))
        scale, self._hidden_zero = self._grid(HIDDEN)
        self._hidden = multiplier_of(2.0**-30 / scale)
        self._projection = multiplier_of(weights.scale("projection") * scale / self._m[0])
        self._products = {}
        for gate in weights.gates:
            bias = weights.arrays[f"bias_{gate}"].astype(np.int64)
            self._products[f"kernel_{gate}"] = self._product(f"kernel_{gate}", self._x, bias)
            self._products[f"recurrent_{gate}"] = self._product(f"recurrent_{gate}", self._m, 0)
        clip = weights.cell_clip / self._cell_scale
        self._cell_clip = int(min(clip, ONE)) if weights.cell_clip > 0 else 0
        self._proj_clip = int(min(weights.proj_clip / self._m[0], HIGHEST))

    def _grid(self, number: int) -> tuple[float, int]:
        return float(np.float32(self._weights.scale_at(number))), self._weights.zero_at(number)

    def _product(
        self, role: str, grid: tuple[float, int], bias: Array | int
    ) -> tuple[Array, Array, tuple[int, int]]:
        """Weights, the bias that stands for zeros as well, and the factor to a gate's grid."""
        array = self._weights.arrays[role].astype(np.int64)
        whole = bias - grid[1] * array.sum(axis=1)
        scale = float(np.float32(self._weights.scale(role)) * np.float32(grid[0]))
        return array.T, np.asarray(whole), multiplier_of(scale / GATE_SCALE)

    def _added(self, before: Array | int, role: str, numbers: Array) -> Array:
        array, bias, factor = self._products[role]
        return saturated(before + multiplied(numbers @ array + bias, factor))

    def prepare(self, x: Array, _: Array | None) -> Array:
        """Gates of x alone (sequence, timestep, gates·unit), as numbers of 16 bits."""
        numbers = to_grid(x, *self._x, LOWEST, HIGHEST).astype(np.int64)
        parts = [self._added(0, f"kernel_{gate}", numbers) for gate in self._weights.gates]
        return np.concatenate(parts, axis=-1)

    def step(self, z: Array, state: States) -> States:
        """One timestep."""
        gates = self._weights.gates
        parts = dict(zip(gates, np.split(z, len(gates), axis=-1), strict=True))
        m = to_grid(state["m"], *self._m, LOWEST, HIGHEST).astype(np.int64)
        c = np.rint(state["c"] / np.float32(self._cell_scale)).astype(np.int64)
        before = {gate: self._added(parts[gate], f"recurrent_{gate}", m) for gate in gates}
        f = sigmoid(self._with_peephole(before, "f", c))
        g = tanh(before["g"], 3)
        i = ONE - f if "i" not in before else sigmoid(self._with_peephole(before, "i", c))
        fresh = divided_by_power(i * g, 15 + self._bits)
        c = saturated(divided_by_power(f * c, 15) + fresh)
        if self._cell_clip:
            c = saturated(c, -self._cell_clip, self._cell_clip)
        o = sigmoid(self._with_peephole(before, "o", c))
        hidden = multiplied(o * tanh(c, self._bits), self._hidden) + self._hidden_zero
        out = self._projected(saturated(hidden, LOWEST, HIGHEST))
        scale, zero = self._m
        return {
            "m": ((out - zero) * np.float64(scale)).astype(np.float32),
            "c": (c * np.float64(self._cell_scale)).astype(np.float32),
        }

    def _with_peephole(self, before: Mapping[str, Array], gate: str, c: Array) -> Array:
        role = f"peephole_{gate}"
        if role not in self._weights.arrays:
            return before[gate]
        scale = self._cell_scale * float(np.float32(self._weights.scale(role))) / GATE_SCALE
        product = self._weights.arrays[role].astype(np.int64) * c
        return saturated(before[gate] + multiplied(product, multiplier_of(scale)))

    def _projected(self, hidden: Array) -> Array:
        arrays = self._weights.arrays
        if "projection" not in arrays:
            return hidden
        array = arrays["projection"].astype(np.int64)
        bias = arrays.get("projection_bias", np.zeros(len(array), np.int64)).astype(np.int64)
        whole = hidden @ array.T + bias - self._hidden_zero * array.sum(axis=1)
        out = saturated(multiplied(whole, self._projection) + self._m[1], LOWEST, HIGHEST)
        return saturated(out, -self._proj_clip, self._proj_clip) if self._proj_clip else out


def _require(weights: LiteWeights) -> None:
    """Refuse what is computed in another way, or not here."""
    if weights.normalised:
        raise EvaluationError("it normalises gates of whole numbers, which is not computed")
    if weights.activation != "TANH":
        raise EvaluationError(f"it has the activation {weights.activation} of whole numbers")
    if len(weights.scales) != INTERMEDIATES + 5 or weights.input_type != "int8":
        raise EvaluationError(
            f"it has x of {weights.input_type} and {len(weights.scales) - INTERMEDIATES} "
            "intermediate results, which is another kernel"
        )
    power = math.log2(weights.scale("state_c") or math.pi)
    if power != round(power) or not -15 <= power <= -9:
        raise EvaluationError("the scale of its c is no power of two between 2**-15 and 2**-9")
    same = weights.scale_at(RESULT), weights.zero_at(RESULT)
    if same != (weights.scale("state_m"), weights.zero_at(ROLES["state_m"])):
        raise EvaluationError("its outputs and its m have different scales")
    if not (weights.scale_at(HIDDEN) > 0 and weights.scale("state_m") > 0):
        raise EvaluationError("its m has no scale")
    for role, array in weights.arrays.items():
        if array.dtype.kind == "f":
            raise EvaluationError(f"its {role} is {array.dtype} beside whole numbers")
