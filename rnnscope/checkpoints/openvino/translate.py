"""From an OpenVINO IR to an ONNX model in memory."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rnnscope.checkpoints.openvino.interface import IrScope, NotTranslated
from rnnscope.checkpoints.openvino.ir_graph import IrLayer, read_graph
from rnnscope.checkpoints.openvino.operators import OPERATORS
from rnnscope.checkpoints.translated.messages import OnnxModel
from rnnscope.checkpoints.translated.reading import Translation
from rnnscope.errors import CheckpointError
from rnnscope.files.limits import check_time
from rnnscope.files.xml_tree import Element, read_xml

DOMAIN = "OpenVINO"
RECURRENT_LIKE = ("LSTM", "GRU", "RNN", "Loop", "TensorIterator", "If")


def translate(path: Path) -> Translation:
    """Write the graph of an ``.xml`` file in ONNX's operators; its constants stay in ``.bin``.

    Raises
    ------
    CheckpointError
        The file is damaged.
    """
    net = read_xml(path, CheckpointError)
    graph = read_graph(net, path)
    model = OnnxModel()
    scope = IrScope(graph, model.graph, path.with_suffix(".bin"))
    write_layers(scope)
    return Translation(
        model=model.proto,
        path=path,
        framework=_framework(net),
        title="OpenVINO",
        sources=scope.sources,
        notes=tuple(dict.fromkeys(scope.notes)),
    )


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
    operator = OPERATORS.get(layer.type)
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


def _framework(net: Element) -> str:
    version = net.attributes.get("version", "?")[:10]
    told = next(
        (
            value
            for info in net.all("rt_info")
            for element in info.all("Runtime_version")
            if (value := element.attributes.get("value", ""))
        ),
        "",
    )
    return f"OpenVINO IR {version}" + (f" ({told[:40]})" if told else "")
