"""ONNX's protocol messages, built from the same table that reads them.

References
----------
onnx/onnx.proto of ONNX 1.23.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.model.cell import Array

ELEMENT_TYPES = {"float32": 1, "int32": 6, "int64": 7, "bool": 9, "float64": 11}
"""TensorProto.DataType."""

OPSET, IR_VERSION = 17, 8
"""Of ONNX 1.12 (June 2022): the first with LayerNormalization."""

ATTRIBUTE_TYPES = {"f": 1, "i": 2, "s": 3, "t": 4, "g": 5, "floats": 6, "ints": 7, "strings": 8}


def tensor(name: str, array: Array) -> Any:
    """A TensorProto with its values as little-endian bytes."""
    stored = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return TABLE.message_class("TensorProto")(
        name=name,
        dims=array.shape,
        data_type=ELEMENT_TYPES[array.dtype.name],
        raw_data=stored.tobytes(),
    )


def attribute(name: str, value: Any) -> Any:
    """An AttributeProto; the kind of the value says which field holds it."""
    made = TABLE.message_class("AttributeProto")(name=name)
    if isinstance(value, str):
        field, made.s = "s", value.encode()
    elif isinstance(value, float):
        field, made.f = "f", value
    elif isinstance(value, int):
        field, made.i = "i", value
    elif isinstance(value, (list, tuple)):
        field = {str: "strings", float: "floats", int: "ints"}[type(value[0])]
        kept = [one.encode() if isinstance(one, str) else one for one in value]
        getattr(made, field).extend(kept)
    else:
        field = "g"
        made.g.CopyFrom(value)
    made.type = ATTRIBUTE_TYPES[field]
    return made


def node(
    op: str, inputs: Sequence[str], outputs: Sequence[str], name: str = "", **attributes: Any
) -> Any:
    """A NodeProto; attributes that are None are left out."""
    return TABLE.message_class("NodeProto")(
        op_type=op,
        input=inputs,
        output=outputs,
        name=name or outputs[0],
        attribute=[attribute(key, value) for key, value in attributes.items() if value is not None],
    )


def value_info(name: str, dtype: str, axes: Sequence[str | int] = ()) -> Any:
    """A ValueInfoProto of a tensor; axes are sizes, or the names of those that are free."""
    made = TABLE.message_class("ValueInfoProto")(name=name)
    made.type.tensor_type.elem_type = ELEMENT_TYPES[dtype]
    for size in axes:
        dimension = made.type.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dimension.dim_param = size
        else:
            dimension.dim_value = size
    return made


def graph(
    nodes: Iterable[Any],
    inputs: Iterable[Any],
    outputs: Iterable[Any],
    arrays: Mapping[str, Array] | None = None,
    name: str = "converted",
) -> Any:
    """A GraphProto with its constants as initializers."""
    return TABLE.message_class("GraphProto")(
        name=name,
        node=nodes,
        input=inputs,
        output=outputs,
        initializer=[tensor(key, array) for key, array in (arrays or {}).items()],
    )


def model_bytes(made: Any) -> bytes:
    """A whole ModelProto around a graph."""
    operators = TABLE.message_class("OperatorSetIdProto")(version=OPSET)
    model = TABLE.message_class("ModelProto")(
        ir_version=IR_VERSION, producer_name="rnnscope", graph=made, opset_import=[operators]
    )
    found: bytes = model.SerializeToString()
    return found
