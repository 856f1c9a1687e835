"""The cross-check by ONNX Runtime: a layer computed once more, by its operators LSTM, GRU and RNN.

A model of that one operator is written for each layer; weights, lengths and initial states are its
inputs. Only the valid steps are handed over, in the order of processing, so that every mask and
both directions are the same to it. The operator returns m of every step and the last c.

What it cannot express is left out, and so not verified: projections, clips of c, float64, other
cells. ONNX Runtime is imported when a verifier is made, and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.oracles.differences import Largest
from rnnscope.oracles.layer_verifier import LayerRun, LayerVerifier, Packed
from rnnscope.oracles.onnx_operators import (
    OPERATORS,
    beyond_operator,
    feed_of,
    model_of,
    states_of,
)


class OnnxRuntimeVerifier(LayerVerifier):
    """Computes layers again with ONNX Runtime's own operators."""

    framework = "onnxruntime"
    instead = "verify with tensorflow"

    def beyond(self, layer: RecurrentLayer) -> str:
        """Why the operators cannot express a layer; empty if they can."""
        return "" if expressible(layer) else f"a cell {layer.cell.kind} with what ONNX lacks"

    def pass_over(self, node: Node, expected: str, found: str) -> None:
        """Leave the layer out: its rows are missing, and so it is not verified."""

    def differences(self, run: LayerRun) -> dict[str, Largest]:
        """By state: how far it is off from the operator's."""
        packed = Packed.of(run)
        layer = replace(run.layer, backward=replace(run.layer.backward, value=False))
        feed = feed_of([layer], packed.x, packed.lengths, [run.initial])
        (found,) = states_of(run_model(self._module, model_of([layer], list(feed)), feed), 1)
        last = {name: found.get(f"final_{name}") for name in ("m", "c")}
        final = {name: value for name, value in last.items() if value is not None}
        kernel = f"ONNX {OPERATORS[layer.cell.kind]}"
        return packed.differences(kernel, run.states, {"m": found["outputs"]}, final)


def run_model(runtime: Any, model: bytes, feed: dict[str, Array]) -> list[Array]:
    """What ONNX Runtime computes of a model on the CPU; its own errors go through."""
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4  # what it has to say is in the error that it raises
    settings.intra_op_num_threads = 1
    session = runtime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(None, feed)
    return found


def expressible(layer: RecurrentLayer) -> bool:
    """Whether the operators can say all that a layer does, in the one dtype they compute in."""
    cell = layer.cell
    if cell.dtype != np.float32 or beyond_operator(cell):
        return False
    return not getattr(getattr(cell.options, "coupled", None), "value", False)
