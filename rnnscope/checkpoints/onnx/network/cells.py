"""The operators LSTM, GRU and RNN of an ONNX graph as cells: weights in rnnscope's order, options.

The defaults of an operator are part of its definition, and so count as stated by the graph.

References
----------
https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html and onnx__RNN.html. Of
``clip``, which is "applied to the input of activations", files are read as onnxruntime computes
them (core/providers/cpu/rnn): it bounds what enters the activations of the gates, not the c that
enters h. By the letter it would bound that, too (`rnnscope help conforming`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.constants import OnnxConstants
from rnnscope.checkpoints.onnx.graph.nodes import CELL_CLIP, OnnxNode
from rnnscope.checkpoints.onnx.stepwise import STEPWISE
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.activations import parametrised
from rnnscope.model.cell import Array, CellSpec, LSTMOptions, LSTMWeights, Option, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER, GRUOptions, GRUWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights
from rnnscope.model.ops import EvaluationError

LSTM_GATES = ("i", "o", "f", "g")
PEEPHOLES = ("i", "o", "f")
GRU_GATES = ("z", "r", "n")
GATE_COUNTS = {"LSTM": 4, "GRU": 3, "RNN": 1}
DEFAULT_ACTIVATIONS = {
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
    "GRU": ("Sigmoid", "Tanh"),
    "RNN": ("Tanh",),
}

WEIGHTS = (1, 2, 3, 7)
"""Inputs that are weights: W, R, B and P; in operators of runtimes, all behind P as well."""

PLAIN = ("relu", "sigmoid", "softplus", "softsign", "tanh")
"""Activations without constants; rnnscope's names are the same."""

SPECIFIED = "default of the ONNX operator"


class NotBuilt(Exception):  # noqa: N818 - it ends no program: the node becomes an Unsupported one
    """Why a recurrent node cannot be computed: the end of "Layer 'x' of class LSTM …"."""


@dataclass(frozen=True, eq=False)
class _OperatorWeights:
    """The weights of one direction as stored: W (gates, input), R (gates, unit), B, P."""

    w: Array
    r: Array
    b: Array | None
    p: Array | None


def read_cells(node: OnnxNode, constants: OnnxConstants) -> list[CellSpec]:
    """The cells of a recurrent node, one for each direction.

    Raises
    ------
    NotBuilt
        Weights are no constants or do not fit, or an activation is not computed.
    CheckpointError
        A stored tensor is damaged.
    """
    if node.op in STEPWISE:
        return _stepwise_cells(node, constants)
    names = [node.input(number) for number in (1, 2, 3)]
    names += [node.input(7)] if node.op == "LSTM" else [""]
    arrays = [_weights(constants, name, role) for name, role in zip(names, "WRBP", strict=True)]
    stored = [name for key in names if key for name in constants.names(key)]
    return build_cells(node, arrays, tuple(dict.fromkeys(stored)))


def _stepwise_cells(node: OnnxNode, constants: OnnxConstants) -> list[CellSpec]:
    """The cells of an operator of `STEPWISE`, which computes as its runtime does."""
    keys = [key if number in WEIGHTS or number > WEIGHTS[-1] else ""
            for number, key in enumerate(node.inputs)]  # fmt: skip
    values = [constants.array(key) if key else None for key in keys]
    missing = next((key for key, value in zip(keys, values, strict=True)
                    if key and value is None), None)  # fmt: skip
    if missing:
        raise NotBuilt(f"takes '{missing}' among its weights, which is no constant of the graph")
    try:
        cells = STEPWISE[node.op](node, values)
    except EvaluationError as error:
        raise NotBuilt(f"cannot be computed: {error}") from error
    variables = tuple(dict.fromkeys(name for key in keys if key for name in constants.names(key)))
    return [cell.spec(variables, takes_lengths=bool(node.input(4))) for cell in cells]


def build_cells(
    node: OnnxNode, arrays: Sequence[Array | None], variables: tuple[str, ...]
) -> list[CellSpec]:
    """The cells that the arrays W, R, B and P make, one for each direction.

    Parameters
    ----------
    node : OnnxNode
        Its operator and attributes.
    arrays : sequence of ndarray or None
        W (direction, gates·unit, input), R (direction, gates·unit, unit), B (direction,
        2·gates·unit) and P (direction, 3·unit).
    variables : tuple of str
        Their names.

    Raises
    ------
    NotBuilt
        They do not fit, or an activation is not computed.
    """
    w, r, b, p = arrays
    if w is None or r is None:
        raise NotBuilt("has no weights: its inputs W and R are left out")
    directions = w.shape[0] if w.ndim else 0
    units = int(r.shape[-1]) if r.ndim else 0
    rows = GATE_COUNTS[node.op] * units
    _require(w, (directions, rows, None), "W")
    _require(r, (directions, rows, units), "R")
    _require(b, (directions, 2 * rows), "B")
    _require(p, (directions, 3 * units), "P")
    if node.integer("hidden_size", units) != units:
        raise NotBuilt(f"has weights of {units} units, unlike its hidden_size")
    chosen = _activations(node, directions, w.dtype)
    return [
        _cell(
            node,
            _OperatorWeights(w[d], r[d], None if b is None else b[d], None if p is None else p[d]),
            chosen[d],
            variables,
        )
        for d in range(directions)
    ]


def _weights(constants: OnnxConstants, name: str, role: str) -> Array | None:
    if not name:
        return None
    array = constants.array(name)
    if array is None:
        raise NotBuilt(f"takes its {role} from '{name}', which is no constant of the graph")
    if array.dtype.kind != "f":
        raise NotBuilt(f"has a {role} of {array.dtype}, not of floats")
    return array


def _require(array: Array | None, shape: tuple[int | None, ...], role: str) -> None:
    if array is None:
        return
    fits = len(shape) == array.ndim and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not fits or not array.shape[0]:
        wanted = " x ".join("any" if size is None else str(size) for size in shape)
        raise NotBuilt(f"has a {role} of shape {array.shape}, not {wanted}")


def _cell(
    node: OnnxNode,
    stored: _OperatorWeights,
    activations: list[Option[str]],
    variables: tuple[str, ...],
) -> CellSpec:
    bound = _shown(node.number("clip", 0.0) or 0.0, stored.w.dtype)
    clip: Option[float | None] = Option(bound or None, "graph", "clip" if bound else SPECIFIED)
    build = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}[node.op]
    weights, options = build(node, stored, activations, clip)
    return CellSpec(
        kind={"LSTM": "lstm", "GRU": "gru", "RNN": "simple_rnn"}[node.op],
        source_class=f"ONNX {node.op}",
        weights=weights,
        options=options,
        variables=variables,
        stored_gate_order=" ".join({"LSTM": LSTM_GATES, "GRU": GRU_GATES, "RNN": ("n",)}[node.op]),
    )


def _biases(stored: _OperatorWeights) -> tuple[Array, Array]:
    if stored.b is None:
        return np.zeros(len(stored.w), stored.w.dtype), np.zeros(len(stored.w), stored.w.dtype)
    first, second = np.split(stored.b, 2)
    return first, second


def _lstm(
    node: OnnxNode,
    stored: _OperatorWeights,
    activations: list[Option[str]],
    clip: Option[float | None],
) -> tuple[Any, Any]:
    bias_w, bias_r = _biases(stored)
    peepholes = {}
    if stored.p is not None:
        parts = zip(PEEPHOLES, np.split(stored.p, 3), strict=True)
        peepholes = {f"peephole_{gate}": part for gate, part in parts}
    weights = LSTMWeights(
        kernel=reorder_gates(stored.w.T, LSTM_GATES),
        recurrent_kernel=reorder_gates(stored.r.T, LSTM_GATES),
        bias=reorder_gates(bias_w + bias_r, LSTM_GATES),
        added_bias=reorder_gates(bias_r, LSTM_GATES),
        **peepholes,
    )
    coupled = bool(node.integer("input_forget"))
    options = LSTMOptions(
        forget_bias=Option(0.0, "graph", "inside the bias"),
        activation=activations[1],
        recurrent_activation=activations[0],
        output_activation=activations[2],
        cell_clip=_cell_clip(node, stored.w.dtype),
        proj_clip=Option(None, "graph", "the operator has none"),
        gate_clip=clip,
        coupled=Option(coupled, "graph", "input_forget" if coupled else SPECIFIED),
    )
    return weights, options


def _cell_clip(node: OnnxNode, dtype: np.dtype[Any]) -> Option[float | None]:
    if CELL_CLIP not in node.attributes:
        return Option(None, "graph", "the operator has none")
    return Option(_shown(node.number(CELL_CLIP) or 0.0, dtype) or None, "graph", "limit of c")


def _gru(
    node: OnnxNode,
    stored: _OperatorWeights,
    activations: list[Option[str]],
    clip: Option[float | None],
) -> tuple[Any, Any]:
    bias_w, bias_r = _biases(stored)
    kernel, recurrent, bias, recurrent_bias = (
        reorder_gates(array, GRU_GATES, order=GRU_GATE_ORDER)
        for array in (stored.w.T, stored.r.T, bias_w, bias_r)
    )
    stated = "linear_before_reset" in node.attributes
    options = GRUOptions(
        activation=activations[1],
        recurrent_activation=activations[0],
        reset_after=Option(
            bool(node.integer("linear_before_reset")),
            "graph",
            "linear_before_reset" if stated else SPECIFIED,
        ),
        gate_clip=clip,
    )
    return GRUWeights(kernel, recurrent, bias, recurrent_bias), options


def _rnn(
    node: OnnxNode,  # noqa: ARG001 - as the others
    stored: _OperatorWeights,
    activations: list[Option[str]],
    clip: Option[float | None],
) -> tuple[Any, Any]:
    bias_w, bias_r = _biases(stored)
    weights = SimpleRNNWeights(
        kernel=np.ascontiguousarray(stored.w.T),
        recurrent_kernel=np.ascontiguousarray(stored.r.T),
        bias=bias_w + bias_r,
        added_bias=bias_r,
    )
    return weights, SimpleRNNOptions(activation=activations[0], gate_clip=clip)


CONSTANTS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "affine": ("affine", (None, None)),
    "elu": ("elu", (1.0,)),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "leakyrelu": ("leaky_relu", (0.01,)),
    "scaledtanh": ("scaled_tanh", (None, None)),
    "thresholdedrelu": ("thresholded_relu", (1.0,)),
}
"""Activations that take alpha and beta: rnnscope's name, and the defaults of the operator of that
name; None where there is no such operator, and so no default."""


def _activations(node: OnnxNode, directions: int, dtype: np.dtype[Any]) -> list[list[Option[str]]]:
    """The activations of each direction; alphas and betas are consumed in order, over all."""
    defaults = DEFAULT_ACTIVATIONS[node.op]
    stated = node.texts("activations")
    if stated and len(stated) != len(defaults) * directions:
        raise NotBuilt(f"names {len(stated)} activations, not {len(defaults) * directions}")
    alphas, betas = (
        iter([_shown(value, dtype) for value in node.floats(name)])
        for name in ("activation_alpha", "activation_beta")
    )
    detail = "activations" if stated else SPECIFIED
    names = [_activation(name, alphas, betas) for name in stated or defaults * directions]
    options = [Option(name, "graph", detail) for name in names]
    return [options[first : first + len(defaults)] for first in range(0, len(names), len(defaults))]


def _shown(value: float, dtype: np.dtype[Any]) -> float:
    """An attribute's float32, as it was written where it makes no difference: 0.1 for 0.1000…01."""
    return float(str(np.float32(value))) if dtype == np.float32 else value


def _activation(name: str, alphas: Iterator[float], betas: Iterator[float]) -> str:
    key = name.lower()
    if key in CONSTANTS:
        ours, defaults = CONSTANTS[key]
        values = [
            next(given, default) for given, default in zip((alphas, betas), defaults, strict=False)
        ]
        known = [value for value in values if value is not None]
        if len(known) < len(defaults):
            raise NotBuilt(f"has the activation {name} without its alpha and beta")
        return parametrised(ours, *known)
    if key not in PLAIN:
        raise NotBuilt(f"has the activation {name}, which is not computed")
    return key
