"""A layer as one operator of ONNX, LSTM, GRU or RNN: the model, and what is fed to it.

Weights, lengths and initial states are inputs of the model.

References
----------
https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html, onnx__RNN.html, opset 14: gates
i, o, f, c and z, r, h; peepholes i, o, f; two biases, summed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnscope.model.activations import name_and_constants
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER
from rnnscope.model.recurrent_layer import RecurrentLayer

OPERATORS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}
GATES = {"lstm": ("i", "o", "f", "g"), "gru": ("z", "r", "n")}
PEEPHOLES = ("i", "o", "f")

ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "relu": ("Relu", ()),
    "softsign": ("Softsign", ()),
    "softplus": ("Softplus", ()),
    "elu": ("Elu", (1.0,)),
    "linear": ("Affine", (1.0, 0.0)),
    "hard_sigmoid": ("HardSigmoid", (0.2, 0.5)),
    "hard_sigmoid_keras3": ("HardSigmoid", (1 / 6, 0.5)),
}
"""What the operators call an activation, with its alpha and beta."""

PARAMETRISED = {
    "hard_sigmoid": "HardSigmoid",
    "leaky_relu": "LeakyRelu",
    "thresholded_relu": "ThresholdedRelu",
    "scaled_tanh": "ScaledTanh",
    "elu": "Elu",
    "affine": "Affine",
}
"""Of activations that carry their constants in their name."""

ELEMENT_TYPES = {"float32": 1, "float16": 10, "float64": 11}
INT32 = 6
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_STRING = 1, 2, 3
ATTRIBUTE_FLOATS, ATTRIBUTE_STRINGS = 6, 8
IR_VERSION, OPSET = 8, 14


def beyond_operator(cell: CellSpec) -> str:
    """What of a cell the operators cannot say; empty where they say it all."""
    if cell.kind not in OPERATORS:
        return f"ONNX has no operator for the cell {cell.kind}"
    if cell.num_proj is not None:
        return "ONNX has no projection"
    if _value(cell, "cell_clip") is not None:
        return "ONNX has no clip of c"
    for name in _activations(cell):
        if _operator_activation(name) is None:
            return f"ONNX has no activation {name}"
    return ""


def model_of(
    layers: Sequence[RecurrentLayer], inputs: Sequence[str], *, batch_first: bool = False
) -> bytes:
    """A serialized model of one operator.

    Parameters
    ----------
    layers : sequence of RecurrentLayer
        The directions: one, or forward and backward.
    inputs : sequence of str
        Names of what `feed_of` gives.
    batch_first : bool
        The attribute ``layout``.
    """
    from rnnscope.checkpoints.onnx.graph.proto import TABLE

    cell = layers[0].cell
    element = ELEMENT_TYPES[cell.dtype.name]
    model = TABLE.message_class("ModelProto")()
    model.ir_version = IR_VERSION
    model.opset_import.add().version = OPSET
    graph = model.graph
    graph.name = "layer"
    for name in inputs:
        _declare(graph.input.add(), name, INT32 if name == "lengths" else element)
    node = graph.node.add()
    node.op_type = node.name = OPERATORS[cell.kind]
    known = ["X", "W", "R", "B", "lengths", "h", "c", "P"][: 8 if cell.kind == "lstm" else 6]
    while known[-1] not in inputs:
        known.pop()
    node.input.extend(name if name in inputs else "" for name in known)
    node.output.extend(["Y", "Y_h", "Y_c"][: 3 if cell.kind == "lstm" else 2])
    for name in node.output:
        _declare(graph.output.add(), name, element)
    _set_attributes(node, layers, batch_first=batch_first)
    serialized: bytes = model.SerializeToString()
    return serialized


def _set_attributes(node: Any, layers: Sequence[RecurrentLayer], *, batch_first: bool) -> None:
    cell = layers[0].cell
    backward = [layer.backward.value for layer in layers]
    direction = "bidirectional" if len(layers) == 2 else "reverse" if backward[0] else "forward"
    if direction != "forward":
        _attribute(node, "direction", ATTRIBUTE_STRING).s = direction.encode()
    if batch_first:
        _attribute(node, "layout", ATTRIBUTE_INT).i = 1
    _attribute(node, "hidden_size", ATTRIBUTE_INT).i = cell.num_units
    named = [name for layer in layers for name in _activations(layer.cell)]
    found = [_operator_activation(name) or ("", ()) for name in named]
    strings = _attribute(node, "activations", ATTRIBUTE_STRINGS).strings
    strings.extend(name.encode() for name, _ in found)
    # They are consumed in order by the activations that have such a constant.
    for place, name in ((0, "activation_alpha"), (1, "activation_beta")):
        constants = [values[place] for _, values in found if len(values) > place]
        if constants:
            _attribute(node, name, ATTRIBUTE_FLOATS).floats.extend(constants)
    if _value(cell, "gate_clip") is not None:
        _attribute(node, "clip", ATTRIBUTE_FLOAT).f = _value(cell, "gate_clip")
    if _value(cell, "coupled"):
        _attribute(node, "input_forget", ATTRIBUTE_INT).i = 1
    if _value(cell, "reset_after"):
        _attribute(node, "linear_before_reset", ATTRIBUTE_INT).i = 1


def feed_of(
    layers: Sequence[RecurrentLayer],
    x: Array,
    lengths: Array | None,
    initial: Sequence[Mapping[str, Array]] | None,
    *,
    batch_first: bool = False,
    biased: bool = True,
) -> dict[str, Array]:
    """What is fed to `model_of`, by name.

    Parameters
    ----------
    layers : sequence of RecurrentLayer
    x : ndarray (sequence, timestep, feature)
    lengths : ndarray of int (sequence,) or None
    initial : sequence of dict of str to ndarray (sequence, width), or None
        c and m before the first step, for each direction.
    batch_first, biased : bool
        What layout X and the states have; whether there is a B.
    """
    cells = [layer.cell for layer in layers]
    feed = {
        "X": x if batch_first else x.swapaxes(0, 1),
        "W": np.stack([_stored(cell, cell.weights.kernel).T for cell in cells]),
        "R": np.stack([_stored(cell, cell.weights.recurrent_kernel).T for cell in cells]),
    }
    if biased:
        feed["B"] = np.stack([_bias(cell) for cell in cells])
    if lengths is not None:
        feed["lengths"] = lengths.astype(np.int32)
    if initial is not None:
        for name, state in (("h", "m"), ("c", "c")):
            if state in initial[0]:
                feed[name] = np.stack([start[state] for start in initial], int(batch_first))
    if any(cell.peepholes for cell in cells):
        feed["P"] = np.stack([_peepholes(cell) for cell in cells])
    return {name: np.ascontiguousarray(array) for name, array in feed.items()}


def states_of(
    outputs: Sequence[Array], directions: int, *, batch_first: bool = False
) -> tuple[dict[str, Array], ...]:
    """Y, Y_h and Y_c by direction: ``outputs``, ``final_m`` and ``final_c``, sequence first."""
    y, *last = outputs
    y = y.transpose(2, 0, 1, 3) if batch_first else y.transpose(1, 2, 0, 3)
    return tuple(
        {
            "outputs": y[number],
            **{
                f"final_{state}": value[:, number] if batch_first else value[number]
                for state, value in zip("mc", last, strict=False)
            },
        }
        for number in range(directions)
    )


def _value(cell: CellSpec, name: str) -> Any:
    option = getattr(cell.options, name, None)
    return None if option is None else option.value


def _activations(cell: CellSpec) -> list[str]:
    names = ("recurrent_activation", "activation", "output_activation")
    return [_value(cell, name) for name in names if hasattr(cell.options, name)]


def _operator_activation(name: str) -> tuple[str, tuple[float, ...]] | None:
    root, constants = name_and_constants(name)
    if constants:
        return (PARAMETRISED[root], constants) if root in PARAMETRISED else None
    return ACTIVATIONS.get(name)


def _stored(cell: CellSpec, array: Array) -> Array:
    """Gate blocks on the last axis in the operator's order."""
    if cell.kind == "simple_rnn":
        return array
    ours = GATE_ORDER if cell.kind == "lstm" else GRU_GATE_ORDER
    return reorder_gates(array, ours, order=GATES[cell.kind])


def _bias(cell: CellSpec) -> Array:
    """Wb and Rb. Where one bias would do, each gets half of it: a forgotten one is seen."""
    weights = cell.weights
    second = getattr(weights, "recurrent_bias", None)
    if second is not None:
        return np.concatenate([_stored(cell, weights.bias), _stored(cell, second)])
    bias = weights.bias
    if cell.kind == "lstm" and cell.options.forget_bias.value:
        bias = bias.copy()
        units = cell.num_units
        bias[units : 2 * units] += weights.dtype.type(cell.options.forget_bias.value)
    if _value(cell, "reset_after"):
        # The part of the second bias for n is multiplied by r, which a half must not be.
        return np.concatenate([_stored(cell, bias), np.zeros_like(bias)])
    half = _stored(cell, bias) / 2  # exact, in every dtype
    return np.concatenate([half, half])


def _peepholes(cell: CellSpec) -> Array:
    none = np.zeros(cell.num_units, cell.dtype)
    diagonals = [getattr(cell.weights, f"peephole_{gate}") for gate in PEEPHOLES]
    return np.concatenate([none if diagonal is None else diagonal for diagonal in diagonals])


def _declare(value: Any, name: str, kind: int) -> None:
    value.name = name
    value.type.tensor_type.elem_type = kind


def _attribute(node: Any, name: str, kind: int) -> Any:
    attribute = node.attribute.add()
    attribute.name, attribute.type = name, kind
    return attribute
