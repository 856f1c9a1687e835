"""Which values a graph declares to be of a type that their arrays are wider than.

References
----------
onnx/onnx.proto, TensorProto.DataType.
"""

from __future__ import annotations

from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.checkpoints.onnx.graph.tensors import HALF_FLOATS, PACKED

LIKE = "rnnscope.like"
"""An attribute that ONNX has not: the narrow type that a node makes because an input is of it."""

EXACT = {
    "Abs", "Cast", "CastLike", "Compress", "Concat", "Constant", "ConstantOfShape", "Dropout",
    "Equal", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Greater",
    "GreaterOrEqual", "Identity", "If", "Less", "LessOrEqual", "Loop", "Max", "MaxPool", "Min",
    "Neg", "Pad", "Relu", "Reshape", "ReverseSequence", "Scan", "ScatterElements", "ScatterND",
    "Shape", "Size", "Slice", "Split", "Squeeze", "Tile", "TopK", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip
"""Operators that make the same numbers in 16 bits as in more."""

_LIKE_INPUT = {"CastLike": 1, "QuantizeLinear": 2}
"""Operators that make values of the type of an input, and its number."""

_TYPED_BY = {**_LIKE_INPUT, "DequantizeLinear": 1, "OneHot": 2, "Where": 1}
"""Operators whose values are of the type of another input than the first."""

_STATED = {"Cast": "to", "EyeLike": "dtype", "QuantizeLinear": "output_dtype"}
"""Operators that state the type of what they make, in an attribute."""


def state_narrow_types(graph: OnnxGraph) -> None:
    """Find `OnnxGraph.narrow`, and tell nodes whose result is of the type of an input."""
    narrow = graph.narrow
    for name, value in graph.inputs.items():
        _keep(narrow, (name,), int(value.type.tensor_type.elem_type))
    for key, tensor in graph.initializers.items():
        _keep(narrow, (key,), int(tensor.data_type))
    for node in graph.nodes:
        number = _stated(node)
        if number is None:
            number = narrow.get(node.input(_TYPED_BY.get(node.op, 0)), 0)
        _keep(narrow, node.outputs, number)
        if node.op in _LIKE_INPUT and (number in HALF_FLOATS or number in PACKED):
            node.attributes[LIKE] = TABLE.message_class("AttributeProto")(name=LIKE, i=number)


def rounds(graph: OnnxGraph, node: OnnxNode) -> bool:
    """Whether a node rounds to 16 bits what has more."""
    to = node.integer("to") if node.op == "Cast" else node.integer(LIKE)
    return (
        node.op in ("Cast", "CastLike")
        and to in HALF_FLOATS
        and graph.narrow.get(node.input(0)) != to
    )


def computing_in_16_bits(graph: OnnxGraph) -> list[OnnxNode]:
    """The nodes whose results other programs round to 16 bits, or compute in them."""
    return [node for node in graph.nodes if node.op not in EXACT
            and any(graph.narrow.get(key) in HALF_FLOATS for key in node.inputs)]  # fmt: skip


def _keep(narrow: dict[str, int], keys: tuple[str, ...], number: int) -> None:
    if number in HALF_FLOATS or number in PACKED:
        narrow.update(dict.fromkeys(filter(None, keys), number))


def _stated(node: OnnxNode) -> int | None:
    """The type that a node states; None if it makes what it reads."""
    if node.op in _STATED and node.integer(_STATED[node.op]):
        return node.integer(_STATED[node.op])
    if node.op in ("Constant", "ConstantOfShape"):
        return int(node.attributes["value"].t.data_type) if "value" in node.attributes else 0
    return None
