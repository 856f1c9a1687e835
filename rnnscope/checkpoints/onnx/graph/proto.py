"""ONNX's protocol messages, as far as recurrent layers need them, and what tells an ONNX file.

References
----------
onnx/onnx.proto of ONNX 1.23. A test compares every line with the ``onnx`` package's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from rnnscope.errors import CheckpointError
from rnnscope.files.messages.proto_fields import BYTES, VARINT, outer_fields
from rnnscope.files.messages.proto_table import MessageTable
from rnnscope.files.messages.slim_messages import Held, parse_file

PACKAGE = "onnx"

SCHEMA = """
ModelProto
  ir_version=1 int64  producer_name=2 string  producer_version=3 string  graph=7 GraphProto
  opset_import=8 *OperatorSetIdProto  functions=25 *FunctionProto
OperatorSetIdProto
  domain=1 string  version=2 int64
GraphProto
  node=1 *NodeProto  name=2 string  initializer=5 *TensorProto  input=11 *ValueInfoProto
  output=12 *ValueInfoProto
NodeProto
  input=1 *string  output=2 *string  name=3 string  op_type=4 string  attribute=5 *AttributeProto
  domain=7 string  overload=8 string
AttributeProto
  name=1 string  f=2 float  i=3 int64  s=4 bytes  t=5 TensorProto  g=6 GraphProto  floats=7 *float
  ints=8 *int64  strings=9 *bytes  type=20 int32  ref_attr_name=21 string
FunctionProto
  name=1 string  input=4 *string  output=5 *string  attribute=6 *string  node=7 *NodeProto
  opset_import=9 *OperatorSetIdProto  domain=10 string  attribute_proto=11 *AttributeProto
  overload=13 string
ValueInfoProto
  name=1 string  type=2 TypeProto
TypeProto
  tensor_type=1 TypeProto.Tensor:value
TypeProto.Tensor
  elem_type=1 int32  shape=2 TensorShapeProto
TensorShapeProto
  dim=1 *TensorShapeProto.Dimension
TensorShapeProto.Dimension
  dim_value=1 int64:value  dim_param=2 string:value
TensorProto
  dims=1 *int64  data_type=2 int32  float_data=4 *float  int32_data=5 *int32  int64_data=7 *int64
  name=8 string  raw_data=9 bytes  double_data=10 *double  uint64_data=11 *uint64
  external_data=13 *StringStringEntryProto  data_location=14 int32
StringStringEntryProto
  key=1 string  value=2 string
"""

TABLE = MessageTable(PACKAGE, SCHEMA)

HELD = {"TensorProto": {9: Held(9), 4: Held(9, "<f4"), 10: Held(9, "<f8")}}
"""Values that stay in the file where they are large: raw_data, float_data and double_data."""

MAX_MODEL_BYTES = 2**31 - 1
"""No protocol message is larger; ONNX keeps the weights of larger models in files beside them."""

MODEL_FIELDS = {
    1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES,
    20: BYTES, 25: BYTES, 26: BYTES,
}  # fmt: skip
"""Field number of a ModelProto to its type on the wire."""

GRAPH_FIELD = 7
FIRST_IR_VERSION, LAST_IR_VERSION = 3, 999
"""A TensorFlow SavedModel begins as an ONNX file of version 1 would; none of those is left."""


def sniff_onnx(path: Path) -> bool:
    """Whether a file is a ModelProto: its outermost fields are those, with a graph among them.

    Only the fields' headers are read. Never raises.
    """
    try:
        if not path.is_file():
            return False
        size = path.stat().st_size
        with path.open("rb") as file:
            return _has_model_fields(file, size)
    except (OSError, ValueError):
        return False


def _has_model_fields(file: BinaryIO, size: int) -> bool:
    versioned = graph = False
    for field in outer_fields(file, size):
        if MODEL_FIELDS.get(field.number) != field.kind:
            return False
        if field.number == 1:
            versioned = FIRST_IR_VERSION <= field.value <= LAST_IR_VERSION
        graph = graph or field.number == GRAPH_FIELD
        if field.cut_off:
            # Within its graph: to be read, so that the error can say so.
            return versioned and field.number == GRAPH_FIELD
    return versioned and graph


def parse_model(path: Path) -> Any:
    """Parse a file as a ModelProto; its large tensors stay in the file.

    Raises
    ------
    CheckpointError
        It is no such message, is cut off, or is larger than one can be.
    """
    from google.protobuf.message import DecodeError

    size = path.stat().st_size
    if size > MAX_MODEL_BYTES:
        raise CheckpointError(
            "The ONNX file is larger than a protocol message can be.",
            where=path,
            expected=f"at most {MAX_MODEL_BYTES} bytes, the weights of larger models beside it",
            found=f"{size} bytes",
            hint="save it with external data",
        )
    try:
        return parse_file(TABLE, "ModelProto", path, HELD)
    except DecodeError as error:
        raise CheckpointError(
            "The ONNX model does not parse: it is truncated or damaged.",
            where=path,
            expected="a ModelProto",
            found=f"{size} bytes that are none ({error})",
            hint="copy or download the file again, and compare its size with the original",
        ) from error
