"""The sequence LSTM of TensorFlow Lite with floats, and with 8-bit weights (hybrid).

Hybrid: each row of x, of m, and of what is projected is quantised by its own range before it is
multiplied with 8-bit weights; everything else is computed in floats.

References
----------
tensorflow/lite/kernels/lstm_eval.cc (LstmStepFloat, LstmStepHybrid) and
internal/reference/portable_tensor_utils.cc (MeanStddevNormalization).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.stepwise.interface import States, StepCell
from rnnscope.checkpoints.onnx.stepwise.lite_numbers import hybrid_product
from rnnscope.checkpoints.onnx.stepwise.lite_weights import GATES, LiteWeights
from rnnscope.model.cell import Array, Option
from rnnscope.model.ops import OPS, EvaluationError

TITLES = {"float": "TensorFlow Lite LSTM", "hybrid": "TensorFlow Lite LSTM (hybrid)"}

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "NONE": lambda x: x,
    "RELU": OPS["relu"],
    "RELU6": lambda x: np.clip(x, 0, 6),
    "TANH": OPS["tanh"],
}
"""Of the candidate and of c."""

SMALLEST_VARIANCE = 1e-8
"""Added to the variance that gates are divided by."""


def float_cell(weights: LiteWeights) -> StepCell:
    """The cell of weights that are floats, or 8-bit numbers that floats are multiplied with."""
    if weights.activation not in FUNCTIONS:
        raise EvaluationError(f"it has the activation {weights.activation}")
    product = _Products(weights)
    act = FUNCTIONS[weights.activation]
    arrays = {role: _real(weights, role) for role in weights.arrays
              if role[:6] in ("peepho", "bias_g", "norm_g") or role[:5] in ("bias_", "norm_")
              or role == "projection_bias"}  # fmt: skip

    def prepare(x: Array, _: Array | None) -> Array:
        return np.concatenate([product(x, f"kernel_{gate}") for gate in weights.gates], axis=-1)

    def gate(name: str, z: Mapping[str, Array], state: States, c: Array | None) -> Array:
        made = z[name] + product(state["m"], f"recurrent_{name}")
        if c is not None and f"peephole_{name}" in arrays:
            made = made + arrays[f"peephole_{name}"] * c
        if weights.normalised:
            made = _normalised(made) * arrays[f"norm_{name}"]
        return np.asarray(made + arrays[f"bias_{name}"])

    def step(z: Array, state: States) -> States:
        parts = dict(zip(weights.gates, np.split(z, len(weights.gates), axis=-1), strict=True))
        c = state["c"]
        f = OPS["sigmoid"](gate("f", parts, state, c))
        i = 1 - f if weights.coupled else OPS["sigmoid"](gate("i", parts, state, c))
        c = f * c + i * act(gate("g", parts, state, None))
        if weights.cell_clip > 0:
            c = np.clip(c, -np.float32(weights.cell_clip), np.float32(weights.cell_clip))
        m = OPS["sigmoid"](gate("o", parts, state, c)) * act(c)
        if "projection" in weights.arrays:
            m = product(m, "projection") + arrays.get("projection_bias", np.float32(0))
            if weights.proj_clip > 0:
                m = np.clip(m, -np.float32(weights.proj_clip), np.float32(weights.proj_clip))
        return {"m": m, "c": c}

    return StepCell(
        TITLES[weights.kind], weights.input_size,
        {"m": weights.output_size, "c": weights.units}, prepare, step, stated(weights),
        " ".join(GATES),
    )  # fmt: skip


def stated(weights: LiteWeights) -> tuple[tuple[str, Option[Any]], ...]:
    """What the operator says of itself."""
    found: list[tuple[str, Option[Any]]] = [
        ("activation", Option(weights.activation.lower(), "graph", "fused_activation_function")),
        ("cell_clip", Option(weights.cell_clip or None, "graph", "cell_clip")),
        ("proj_clip", Option(weights.proj_clip or None, "graph", "proj_clip")),
    ]
    for shown, name in (
        (weights.coupled, "coupled"), (weights.normalised, "layer_norm"),
        ("peephole_o" in weights.arrays, "peepholes"),
    ):  # fmt: skip
        if shown:
            found.append((name, Option(True, "graph", "its weights")))
    if weights.kind == "hybrid":
        words = "x and m to 8 bits, row by row"
        detail = "asymmetric_quantize_inputs" if weights.asymmetric else "symmetric"
        found.append(("quantisation", Option(words, "graph", detail)))
    return tuple(found)


def _real(weights: LiteWeights, role: str) -> Array:
    """The floats of a role that is not multiplied as a matrix."""
    array = weights.arrays[role]
    if array.dtype.kind == "f":
        return array
    return np.asarray(array * np.float32(weights.scale(role)), np.float32)


class _Products:
    def __init__(self, weights: LiteWeights) -> None:
        self._weights = weights

    def __call__(self, x: Array, role: str) -> Array:
        weights, array = self._weights, self._weights.arrays[role]
        if weights.diagonal and role.startswith("recurrent"):
            return np.asarray(x * _real(weights, role), np.float32)
        if array.dtype.kind == "f":
            made: Array = x @ array.T
            return made
        scales = np.asarray([weights.scale(role)], np.float32)
        return hybrid_product(x, array, scales, asymmetric=weights.asymmetric)


def _normalised(z: Array) -> Array:
    mean = z.mean(axis=-1, keepdims=True)
    centred = z - mean
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    made: Array = centred / np.sqrt(variance + np.float32(SMALLEST_VARIANCE))
    return made
