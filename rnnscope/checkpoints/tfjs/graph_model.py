"""Graph models of TensorFlow.js: a frozen GraphDef in JSON, its constants in shards.

References
----------
tensorflowjs/converters/tf_saved_model_conversion_v2.py: the graph is frozen, and the value of every
Const is taken out of it and written under the node's name.
"""

from __future__ import annotations

import math
from typing import Any

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.checkpoints.tf1.frozen_graph import read_frozen_graph
from rnnscope.checkpoints.tf1.graph_model import GraphModel, read_again
from rnnscope.checkpoints.tf1.unused_ops import prune
from rnnscope.checkpoints.tfjs.model_json import TOPOLOGY, JsonModel
from rnnscope.checkpoints.tfjs.plain_graph import enter_as_constants, unfuse
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.values_in_file import LARGE_BYTES
from rnnscope.files.tensorflow.proto_schema import message_class
from rnnscope.files.tensorflow.protos import DTYPE_NAMES

ENUMS = {
    "DT_FLOAT": 1, "DT_DOUBLE": 2, "DT_COMPLEX64": 8, "DT_HALF": 19,
    **{f"DT_{name.upper()}": number for number, name in DTYPE_NAMES.items()},
}  # fmt: skip
"""DataType by the names that it has in JSON."""

TYPE_KEYS = ("dtype", "type")
MAX_DEPTH = 64


def read_graph_model(model: JsonModel, reader: str) -> Checkpoint:
    """The layers of a graph, as data."""
    found, stored = read_frozen_graph(_graph(model), model.path)
    path = model.path

    def again() -> GraphModel:
        return read_frozen_graph(_graph(JsonModel.read(path)), path)[0]

    said = model.said("generatedBy")
    words = [f"TensorFlow {said}"] if said else []
    words += [one for one in (model.said("convertedBy"),) if one]
    return Checkpoint(
        path=path,
        format=reader,
        framework=f"TensorFlow.js ({', '.join(words)})" if words else "TensorFlow.js",
        files=model.files,
        network=found.network,
        left_out=found.left_out,
        notes=found.notes,
        read_variable=stored.read,
        later_results=read_again(found, again),
    )


def _graph(model: JsonModel) -> Any:
    """The GraphDef message, its constants filled in."""
    from google.protobuf import json_format

    where = f"{model.path}: {TOPOLOGY}"
    graph = message_class("GraphDef")()
    try:
        json_format.ParseDict(_numbered(model.topology.data), graph, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError, ValueError, TypeError) as error:
        raise CheckpointError(
            "The graph in the JSON file does not parse.",
            where=where,
            expected="a GraphDef as TensorFlow.js' converter writes it",
            found=str(error).partition("\n")[0][:200],
            hint="the file is damaged or was edited: convert the model again",
        ) from error
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            if node.op == "Const":
                _fill(node, model)
    prune(graph, _results(model))
    unfuse(graph)
    enter_as_constants(graph)
    return graph


def _results(model: JsonModel) -> list[str]:
    """The nodes that the model returns, as far as the file says them."""
    signature = model.root.raw("signature")
    outputs = signature.get("outputs") if isinstance(signature, dict) else None
    named = [one.get("name") for one in outputs.values() if isinstance(one, dict)] if isinstance(
        outputs, dict) else []  # fmt: skip
    return [name.split(":")[0] for name in named if isinstance(name, str)]


def _fill(node: Any, model: JsonModel) -> None:
    """The value of a constant, from the shards; a large one stays there until it is needed."""
    stored = model.arrays.get(node.name)
    if stored is None:
        return  # it holds its value itself
    if stored.dtype == "complex64":
        return
    held = stored.in_file if math.prod(stored.shape) * 4 >= LARGE_BYTES else None
    number = {"bool": 10, "float32": 1, "int32": 3, "uint8": 4}[stored.dtype]
    tensor = node.attr["value"].tensor
    tensor.Clear()
    tensor.dtype = node.attr["dtype"].type = number
    tensor.tensor_shape.SetInParent()
    for size in stored.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = stored.load().tobytes() if held is None else held.stand_in()


def _numbered(value: Any, depth: int = 0) -> Any:
    """JSON with the names of data types as their numbers."""
    if depth > MAX_DEPTH:
        raise RecursionError("objects nested too deep")
    if isinstance(value, list):
        return [_numbered(one, depth + 1) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _type(one) if key in TYPE_KEYS else _numbered(one, depth + 1)
        for key, one in value.items()
    }


def _type(value: Any) -> Any:
    """A data type, or several, as numbers; what is none stays."""
    if isinstance(value, list):
        return [_type(one) for one in value]
    if isinstance(value, dict):
        return _numbered(value)
    return ENUMS.get(value, value) if isinstance(value, str) else value
