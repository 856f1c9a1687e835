"""The cross-check by ONNX Runtime: a layer computed once more, by its operator LSTM.

A model of that one operator is written for each layer; weights, lengths and initial states are its
inputs. Only the valid steps are handed over, in the order of processing, so that every mask and
both directions are the same to it. The operator returns m of every step and the last c.

What it cannot express is left out, and so not verified: projections, clips of c, float64, other
cells. ONNX Runtime is imported when a verifier is made, and nowhere else.

References
----------
The operator LSTM of ONNX, opset 14: gates i, o, f, g; peepholes i, o, f; two biases, summed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnscope.errors import EngineError, spell
from rnnscope.model.cell import Array, LSTMWeights
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates
from rnnscope.model.verification import KernelDifference
from rnnscope.oracles.differences import Differences, Largest

GATES = ("i", "o", "f", "g")
PEEPHOLES = ("i", "o", "f")
KERNEL = "ONNX LSTM"

ACTIVATIONS: dict[str, tuple[str, float, float]] = {
    "tanh": ("Tanh", 0.0, 0.0),
    "sigmoid": ("Sigmoid", 0.0, 0.0),
    "relu": ("Relu", 0.0, 0.0),
    "softsign": ("Softsign", 0.0, 0.0),
    "hard_sigmoid": ("HardSigmoid", 0.2, 0.5),
    "hard_sigmoid_keras3": ("HardSigmoid", 1 / 6, 0.5),
}
"""What the operator calls an activation, with its alpha and beta."""

FLOAT, INT32 = 1, 6
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_FLOATS, ATTRIBUTE_STRINGS = 1, 2, 6, 8
IR_VERSION, OPSET = 8, 14


class OnnxRuntimeVerifier:
    """Computes layers again with ONNX Runtime and keeps the largest differences.

    Attributes
    ----------
    name : str
        ONNX Runtime and its version.

    Raises
    ------
    EngineError
        It is not installed, or does not import.
    """

    def __init__(self) -> None:
        self._runtime = import_onnxruntime()
        self.name = f"ONNX Runtime {self._runtime.__version__}"
        self._found = Differences()

    def compare(
        self,
        node: Node,
        x: Array,
        mask: Array | None,
        initial: Mapping[str, Array],
        states: LayerStates,
    ) -> None:
        """Compute some sequences of a layer again; parameters as of `TensorFlowVerifier`.

        A layer that the operator cannot express is passed over.
        """
        layer = node.recurrent
        if layer is None or not expressible(layer) or not x.size:
            return
        if layer.padding.value == "none":
            mask = None
        valid = np.ones(x.shape[:2], bool) if mask is None else mask
        rows, order, times = _in_order(valid, backward=layer.backward.value)
        lengths = valid.sum(axis=1).astype(np.int32)
        packed = np.zeros((x.shape[1], len(x), x.shape[2]), x.dtype)
        packed[order, rows] = x[rows, times]
        y, last_m, last_c = self._run(layer, packed, lengths, initial)
        some = lengths > 0
        pairs = {
            "m": (states.states["m"][rows, times], y[order, 0, rows]),
            "final m": (states.final["m"][some], last_m[0][some]),
            "final c": (states.final["c"][some], last_c[0][some]),
        }
        found = {state: Largest.of(KERNEL, *pair) for state, pair in pairs.items()}
        self._found.add(node.name, found)

    def rows(self) -> tuple[KernelDifference, ...]:
        """One row a layer and state, in the order in which they were computed."""
        return self._found.rows()

    def _run(
        self, layer: RecurrentLayer, x: Array, lengths: Array, initial: Mapping[str, Array]
    ) -> list[Array]:
        weights: LSTMWeights = layer.cell.weights
        forget = np.repeat([0.0, layer.cell.options.forget_bias.value, 0.0, 0.0], weights.num_units)
        bias = _stored_order(weights.bias + forget.astype(np.float32))
        shape = (len(lengths), weights.num_units)
        feed: dict[str, Array] = {
            "X": x,
            "W": _stored_order(weights.kernel).T[None],
            "R": _stored_order(weights.recurrent_kernel).T[None],
            "B": np.concatenate([bias, np.zeros_like(bias)])[None],
            "lengths": lengths,
            "h": np.broadcast_to(np.asarray(initial.get("m", 0), np.float32), shape)[None],
            "c": np.broadcast_to(np.asarray(initial.get("c", 0), np.float32), shape)[None],
        }
        diagonals = [getattr(weights, f"peephole_{gate}") for gate in PEEPHOLES]
        if any(diagonal is not None for diagonal in diagonals):
            none = np.zeros(weights.num_units, np.float32)
            feed["P"] = np.concatenate([none if d is None else d for d in diagonals])[None]
        settings = self._runtime.SessionOptions()
        settings.log_severity_level = 3
        session = self._runtime.InferenceSession(
            _model(layer, list(feed)), settings, providers=["CPUExecutionProvider"]
        )
        given = {name: np.ascontiguousarray(array) for name, array in feed.items()}
        found: list[Array] = session.run(None, given)
        return found


def expressible(layer: RecurrentLayer) -> bool:
    """Whether the operator LSTM can say all that a layer does."""
    cell = layer.cell
    if cell.kind != "lstm" or cell.dtype != np.float32 or cell.num_proj is not None:
        return False
    options = cell.options
    named = (options.recurrent_activation, options.activation, options.output_activation)
    plain = options.cell_clip.value is None and not options.coupled.value
    return plain and all(option.value in ACTIVATIONS for option in named)


def _stored_order(array: Array) -> Array:
    """Gate blocks on the last axis in the operator's order."""
    blocks = dict(zip(("i", "f", "g", "o"), np.split(array, 4, axis=-1), strict=True))
    return np.concatenate([blocks[gate] for gate in GATES], axis=-1)


def _in_order(valid: Array, *, backward: bool) -> tuple[Array, Array, Array]:
    """Rows, places in the order of processing, and timesteps of every valid step."""
    rows, times = np.nonzero(valid)
    order = np.cumsum(valid, axis=1)[rows, times] - 1
    if backward:
        order = valid.sum(axis=1)[rows] - 1 - order
    return rows, order, times


def _model(layer: RecurrentLayer, inputs: list[str]) -> bytes:
    """A serialized model of one LSTM operator."""
    from rnnscope.checkpoints.onnx.graph.proto import TABLE

    model = TABLE.message_class("ModelProto")()
    model.ir_version = IR_VERSION
    model.opset_import.add().version = OPSET
    graph = model.graph
    graph.name = "layer"
    for name in inputs:
        _declare(graph.input.add(), name, INT32 if name == "lengths" else FLOAT)
    node = graph.node.add()
    node.op_type, node.name = "LSTM", "lstm"
    known = ["X", "W", "R", "B", "lengths", "h", "c", "P"]
    node.input.extend(name if name in inputs else "" for name in known)
    node.output.extend(["Y", "Y_h", "Y_c"])
    for name in node.output:
        _declare(graph.output.add(), name, FLOAT)
    options = layer.cell.options
    names = (options.recurrent_activation, options.activation, options.output_activation)
    found = [ACTIVATIONS[option.value] for option in names]
    _attribute(node, "hidden_size", ATTRIBUTE_INT).i = layer.cell.num_units
    strings = _attribute(node, "activations", ATTRIBUTE_STRINGS).strings
    strings.extend(name.encode() for name, _, _ in found)
    for place, name in ((1, "activation_alpha"), (2, "activation_beta")):
        _attribute(node, name, ATTRIBUTE_FLOATS).floats.extend(entry[place] for entry in found)
    if options.gate_clip.value is not None:
        _attribute(node, "clip", ATTRIBUTE_FLOAT).f = options.gate_clip.value
    serialized: bytes = model.SerializeToString()
    return serialized


def _declare(value: Any, name: str, kind: int) -> None:
    value.name = name
    value.type.tensor_type.elem_type = kind


def _attribute(node: Any, name: str, kind: int) -> Any:
    attribute = node.attribute.add()
    attribute.name, attribute.type = name, kind
    return attribute


def import_onnxruntime() -> Any:
    """ONNX Runtime.

    Raises
    ------
    EngineError
        It is missing or fails to import.
    """
    try:
        import onnxruntime
    except Exception as error:  # a broken installation raises nearly anything
        missing = isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime"
        raise EngineError(
            "ONNX Runtime is not installed." if missing else "ONNX Runtime does not import.",
            where=spell("verify", "onnxruntime"),
            expected="import onnxruntime to work in this Python",
            found=f"{type(error).__name__}: {error}",
            hint="pip install onnxruntime, or verify with tensorflow",
        ) from error
    return onnxruntime
