"""Cells as the operators LSTM, GRU and RNN of ONNX: W, R, B, P and attributes.

References
----------
https://onnx.ai/onnx/operators/onnx__LSTM.html: gates i, o, f, c; P holds the peepholes of i, o, f;
B is the bias of W, then that of R. onnx__GRU.html: gates z, r, h, ``linear_before_reset``.
Activations are listed for every direction; alphas and betas are taken in order by those that have
them (onnxruntime core/providers/cpu/rnn/rnn_helpers.cc).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnscope.converting.folding import folded_bias, second_bias
from rnnscope.converting.interface import Abilities
from rnnscope.model.activations import name_and_constants
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER
from rnnscope.model.initial_state import StoredState
from rnnscope.model.recurrent_layer import RecurrentLayer

OPERATORS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}
GATES = {"lstm": (GATE_ORDER, ("i", "o", "f", "g")), "gru": (GRU_GATE_ORDER, ("z", "r", "n"))}
"""rnnscope's order of gates, and ONNX's."""

PEEPHOLES = ("i", "o", "f")

WITH_CONSTANTS = {
    "linear": ("affine", (1.0, 0.0)),
    "hard_sigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "hard_sigmoid_keras3": ("hard_sigmoid", (1 / 6, 0.5)),
}
"""Activations that ONNX has as another with constants."""

NAMES = {
    "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "softplus": "Softplus",
    "softsign": "Softsign", "affine": "Affine", "hard_sigmoid": "HardSigmoid", "elu": "Elu",
    "leaky_relu": "LeakyRelu", "thresholded_relu": "ThresholdedRelu",
    "scaled_tanh": "ScaledTanh",
}  # fmt: skip
"""The operators' names of activations."""

PLAIN = ("tanh", "sigmoid", "relu", "softplus", "softsign")
KNOWN: Mapping[str, str] = {
    **{name: NAMES[name] for name in PLAIN},
    **{name: NAMES[base] for name, (base, _) in WITH_CONSTANTS.items()},
}

ONNX = Abilities(
    title="the ONNX operators LSTM, GRU and RNN",
    activation=dict.fromkeys(OPERATORS, KNOWN),
    recurrent_activation={"lstm": KNOWN, "gru": KNOWN},
    parametrised=tuple(name for name in NAMES if name not in PLAIN),
    own_output_activation=True,
    peepholes=True,
    gate_clip=True,
    coupled=True,
    stored_start=True,
    reset_after=(True, False),
    merges=("concat", "sum", "mul", "ave", "none"),
)


def arrays(cells: Sequence[CellSpec]) -> dict[str, Array]:
    """W, R, B and where there are peepholes P of the directions of one node, stacked."""
    parts = [_arrays(cell) for cell in cells]
    if any("P" in part for part in parts):
        for part, cell in zip(parts, cells, strict=True):
            part.setdefault("P", np.zeros(3 * cell.num_units, cell.dtype))
    return {key: np.stack([part[key] for part in parts]) for key in parts[0]}


def _arrays(cell: CellSpec) -> dict[str, Array]:
    weights: Any = cell.weights

    def stored(array: Array) -> Array:
        if cell.kind in GATES:
            own, wanted = GATES[cell.kind]
            array = reorder_gates(array, own, order=wanted)
        return np.ascontiguousarray(array.T)

    found = {
        "W": stored(weights.kernel),
        "R": stored(weights.recurrent_kernel),
        "B": np.concatenate([stored(folded_bias(cell)), stored(second_bias(cell))]),
    }
    if cell.peepholes:
        zeros = np.zeros(cell.num_units, cell.dtype)
        own = [getattr(weights, f"peephole_{gate}") for gate in PEEPHOLES]
        found["P"] = np.concatenate([zeros if one is None else one for one in own])
    return found


STATES = {"lstm": ("m", "c"), "gru": ("m",), "simple_rnn": ("m",)}
"""In the order of the operators' initial states and of what they return."""


def starts(layers: Sequence[RecurrentLayer]) -> dict[str, Array]:
    """The states before the first step, (direction, 1, unit) by name; empty where all are zeros."""
    stored = [
        {
            name: part.rows(slice(0, 1))
            for name, part in layer.initial_state.value.parts.items()
            if isinstance(part, StoredState)
        }
        for layer in layers
    ]
    if not any(stored):
        return {}
    cell = layers[0].cell
    zeros = np.zeros(cell.num_units, cell.dtype)
    return {
        name: np.stack([np.asarray(own.get(name, zeros), cell.dtype) for own in stored])[:, None]
        for name in STATES[cell.kind]
    }


def attributes(cells: Sequence[CellSpec]) -> dict[str, Any]:
    """The attributes of a node but for its direction."""
    first = cells[0]
    options: Any = first.options
    found: dict[str, Any] = {"hidden_size": first.num_units}
    names, alphas, betas = [], [], []
    for cell in cells:
        for activation in _activations(cell):
            base, constants = WITH_CONSTANTS.get(activation) or name_and_constants(activation)
            names.append(NAMES[base])
            alphas += list(constants[:1])
            betas += list(constants[1:])
    found["activations"] = names
    found["activation_alpha"] = alphas or None
    found["activation_beta"] = betas or None
    if options.gate_clip.value is not None:
        found["clip"] = float(options.gate_clip.value)
    if first.kind == "lstm" and options.coupled.value:
        found["input_forget"] = 1
    if first.kind == "gru":
        found["linear_before_reset"] = int(options.reset_after.value)
    return found


def _activations(cell: CellSpec) -> tuple[str, ...]:
    options: Any = cell.options
    if cell.kind == "simple_rnn":
        return (options.activation.value,)
    gates = (options.recurrent_activation.value, options.activation.value)
    return (*gates, options.output_activation.value) if cell.kind == "lstm" else gates
