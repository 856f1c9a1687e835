"""From an OpenVINO IR to an ONNX model in memory."""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.openvino.interface import IrScope
from rnnscope.checkpoints.openvino.ir_graph import read_graph
from rnnscope.checkpoints.openvino.operators import OPERATORS
from rnnscope.checkpoints.openvino.writing import write_layers
from rnnscope.checkpoints.translated.messages import OnnxModel
from rnnscope.checkpoints.translated.reading import Translation
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.xml_tree import Element, read_xml


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
    scope = IrScope(graph, model.graph, path.with_suffix(".bin"), OPERATORS)
    write_layers(scope)
    return Translation(
        model=model.proto,
        path=path,
        framework=_framework(net),
        title="OpenVINO",
        sources=scope.sources,
        notes=tuple(dict.fromkeys(scope.notes)),
    )


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
