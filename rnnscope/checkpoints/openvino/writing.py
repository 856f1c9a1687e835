"""Writing the layers of an IR one by one; what has no meaning in ONNX keeps its own name."""

from __future__ import annotations

from collections.abc import Collection

from rnnscope.checkpoints.openvino.interface import IrScope
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time

DOMAIN = "OpenVINO"
RECURRENT_LIKE = ("LSTM", "GRU", "RNN", "Loop", "TensorIterator", "If")


def write_layers(scope: IrScope, skip: Collection[str] = ()) -> None:
    """Write every layer of a graph, each after those that it reads."""
    for layer in scope.graph.layers:
        check_time(layer.name, CheckpointError)
        if layer.type not in skip:
            _write(scope, layer)


def _write(scope: IrScope, layer: IrLayer) -> None:
    inputs = [
        "" if source is None else scope.values.get(source, "")
        for source in scope.graph.reads(layer)
    ]
    operator = scope.operators.get(layer.type)
    made: list[str] = []
    reason = "is not read"
    try:
        if operator is not None:
            made = list(operator(scope, layer, inputs))
    except NotTranslated as error:
        reason = str(error)
        operator = None
    if operator is None:
        if any(word in layer.type for word in RECURRENT_LIKE):
            scope.notes.append(f"Layer '{layer.name}' of type {layer.type} {reason}.")
        made = list(
            scope.made.node(
                layer.type, inputs, layer.name, max(1, len(layer.outputs)), domain=DOMAIN
            )
        )
    for number, port in enumerate(layer.outputs):
        key = made[number] if number < len(made) else ""
        if not key:
            name = f"{layer.name}/{port.number}"
            key = scope.made.one(layer.type, inputs, name, domain=DOMAIN)
        scope.values[layer.id, port.number] = key
