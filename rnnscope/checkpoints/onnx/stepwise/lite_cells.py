"""The sequence LSTM of TensorFlow Lite: an LSTM of ours where it is one, else stepped as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.stepwise.interface import StepCell
from rnnscope.checkpoints.onnx.stepwise.lite_integer_lstm import integer_cell
from rnnscope.checkpoints.onnx.stepwise.lite_lstm import float_cell
from rnnscope.checkpoints.onnx.stepwise.lite_weights import LiteWeights
from rnnscope.model.cell import Array, CellSpec, LSTMOptions, LSTMWeights, Option, only_choice
from rnnscope.model.cells.coupled_lstm import CoupledLSTMOptions, CoupledLSTMWeights

OURS = {"NONE": "linear", "RELU": "relu", "TANH": "tanh"}
"""Activations that cells of ours have, too."""


def lite_cells(node: OnnxNode, inputs: Sequence[Any]) -> list[StepCell]:
    """The one direction of a node."""
    weights = LiteWeights.of(node, inputs)
    if weights.kind == "integer":
        return [integer_cell(weights)]
    cell = float_cell(weights)
    return [replace(cell, plain=_plain(weights))]


def _plain(weights: LiteWeights) -> CellSpec | None:
    """The cell of CELLS that the operator is; None where it is none."""
    special = weights.normalised or "projection_bias" in weights.arrays
    if weights.kind != "float" or special or weights.activation not in OURS:
        return None
    arrays, gates = weights.arrays, weights.gates

    def columns(role: str) -> Array:
        blocks = [arrays[f"{role}_{gate}"] for gate in gates]
        if role == "recurrent" and weights.diagonal:
            blocks = [np.diag(block) for block in blocks]
        return np.ascontiguousarray(np.concatenate([block.T for block in blocks], axis=-1))

    peepholes = {role: array for role, array in arrays.items() if role.startswith("peephole")}
    projection = np.ascontiguousarray(arrays["projection"].T) if "projection" in arrays else None
    common: dict[str, Any] = {"kernel": columns("kernel"), "recurrent_kernel": columns("recurrent"),
              "bias": columns("bias"), "projection": projection, **peepholes}  # fmt: skip
    activation = Option(OURS[weights.activation], "graph", "fused_activation_function")
    sigmoid = only_choice("sigmoid", "the operator knows no other")
    no_bias: Option[float] = Option(0.0, "graph", "inside the bias")
    cell_clip: Option[float | None] = Option(weights.cell_clip or None, "graph", "cell_clip")
    proj_clip: Option[float | None] = Option(weights.proj_clip or None, "graph", "proj_clip")
    options: Any
    made: Any
    if weights.coupled:
        if weights.cell_clip:
            return None
        made = CoupledLSTMWeights(**common)
        options = CoupledLSTMOptions(no_bias, activation, sigmoid, proj_clip)
    else:
        made = LSTMWeights(**common)
        options = LSTMOptions(no_bias, activation, sigmoid, activation, cell_clip, proj_clip)
    return CellSpec(
        kind="coupled_lstm" if weights.coupled else "lstm",
        source_class="TensorFlow Lite LSTM",
        weights=made,
        options=options,
        variables=(),
        stored_gate_order=" ".join(gates),
    )
