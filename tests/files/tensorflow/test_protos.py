"""The message table agrees with TensorFlow's own, and tensors in messages become arrays."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

# They register their descriptors where TensorFlow itself does not import them.
from tensorflow.core.protobuf import (
    meta_graph_pb2,
    saved_model_pb2,
    tensor_bundle_pb2,
    trackable_object_graph_pb2,
)
from tensorflow.core.util import saved_tensor_slice_pb2
from tensorflow.python.keras.protobuf import saved_metadata_pb2

from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.proto_schema import PACKAGE, SCHEMA, message_class
from rnnscope.files.tensorflow.protos import (
    DTYPE_NAMES,
    DTYPES,
    MAX_ELEMENTS,
    MAX_RANK,
    dtype_name,
    parse,
    shape_of,
    tensor_to_array,
)

REGISTERED = (
    meta_graph_pb2,
    saved_model_pb2,
    tensor_bundle_pb2,
    trackable_object_graph_pb2,
    saved_tensor_slice_pb2,
    saved_metadata_pb2,
)
KERAS = "third_party.tensorflow.python.keras.protobuf"
ELSEWHERE = {
    # Keras' own messages, which it keeps in a package of its own.
    "SavedMetadata": f"{KERAS}.SavedMetadata",
    "SavedMetadata.Layer": f"{KERAS}.SavedObject",
}
NAMES = [line for line in SCHEMA.splitlines() if line and not line.startswith(" ")]


def describe(field: Any) -> tuple[Any, ...]:
    """What the wire and the Python API depend on; enums count as the int32 that they are."""
    kind = FieldDescriptor.TYPE_INT32 if field.type == FieldDescriptor.TYPE_ENUM else field.type
    message = field.message_type
    is_map = message is not None and message.GetOptions().map_entry
    entry = tuple(describe(part) for part in message.fields) if is_map else None
    oneof = field.containing_oneof.name if field.containing_oneof else None
    name = message.full_name if message is not None and not is_map else None
    ours = {f"{PACKAGE}.{ours}": theirs for ours, theirs in ELSEWHERE.items()}
    name = ours.get(name, name)
    return (field.name, field.number, kind, field.is_repeated, oneof, name, entry)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_tensorflows(name: str) -> None:
    ours = message_class(name).DESCRIPTOR
    theirs = descriptor_pool.Default().FindMessageTypeByName(
        ELSEWHERE.get(name, f"{PACKAGE}.{name}")
    )
    expected = {field.name: describe(field) for field in theirs.fields}
    assert ours.fields
    for field in ours.fields:
        assert describe(field) == expected[field.name]


def test_every_dtype_number_is_tensorflows() -> None:
    for number, name in DTYPE_NAMES.items():
        assert tf.dtypes.as_dtype(number).name == name
    assert dtype_name(101) == "float32"
    assert dtype_name(99) == "DataType 99"


def test_a_graph_survives_the_trip() -> None:
    graph = tf.function(lambda x: tf.tanh(x) + 1.0).get_concrete_function(
        tf.TensorSpec([None, 2], tf.float32, name="x")
    )
    theirs = graph.graph.as_graph_def()
    ours = parse("GraphDef", theirs.SerializeToString(), "a graph")
    assert [node.name for node in ours.node] == [node.name for node in theirs.node]
    assert ours.node[0].attr["shape"].shape.dim[0].size == -1
    assert ours.node[0].attr["dtype"].WhichOneof("value") == "type"


@given(st.binary(max_size=200), st.sampled_from(NAMES))
def test_parsing_garbage_raises_checkpoint_errors_only(data: bytes, name: str) -> None:
    try:
        parse(name, data, "garbage")
    except CheckpointError as error:
        assert error.where == "garbage"
        assert name in str(error.expected)


ARRAYS = [
    np.arange(6, dtype=dtype).reshape(2, 3)
    for dtype in (
        "float16", "float32", "float64", "int8", "int16", "int32", "int64",
        "uint8", "uint16", "uint32", "uint64", "complex64", "complex128",
    )
] + [
    np.array([True, False]),
    np.array(-3, np.int8),
    np.array(2.5, np.float32),
    np.zeros((0, 4), np.float32),
    np.full((3, 4), 7.0, np.float32),
    np.arange(6).reshape(2, 3).astype(tf.bfloat16.as_numpy_dtype),
    np.array(-1.5, tf.bfloat16.as_numpy_dtype),
]  # fmt: skip


def widened(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    narrow = array.dtype in (np.float16, tf.bfloat16.as_numpy_dtype)
    return array.astype(np.float32) if narrow else array


def ours(proto: Any) -> Any:
    return parse("TensorProto", proto.SerializeToString(), "a tensor")


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_tensors_of_raw_bytes_and_of_values(array: np.ndarray[Any, Any]) -> None:
    """`make_tensor_proto` writes content for arrays, values for lists; both are read."""
    for source in (array, array.tolist()):
        proto = tf.make_tensor_proto(source, dtype=array.dtype, shape=array.shape)
        read = tensor_to_array(ours(proto))
        np.testing.assert_array_equal(read, widened(array), strict=True)


def test_strings_are_bytes() -> None:
    read = tensor_to_array(ours(tf.make_tensor_proto([[b"a", b"\xff\0"]])))
    assert read.tolist() == [[b"a", b"\xff\0"]]
    assert tensor_to_array(ours(tf.make_tensor_proto(b"one"))).item() == b"one"
    assert tensor_to_array(ours(tf.make_tensor_proto([], tf.string))).shape == (0,)


def test_short_value_lists_repeat_their_last_value() -> None:
    for values in ([3.0], [1.0, 2.0], []):
        proto = tf.make_tensor_proto(0.0, shape=[2, 2])
        proto.float_val[:] = values
        np.testing.assert_array_equal(tensor_to_array(ours(proto)), tf.make_ndarray(proto))


def proto_of(shape: list[int], dtype: int = 1, **values: Any) -> Any:
    proto = message_class("TensorProto")(dtype=dtype, **values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (proto_of([2], tensor_content=b"1234"), "does not fit"),
        (proto_of([1], float_val=[1.0, 2.0]), "does not fit"),
        (proto_of([2], dtype=7), "does not fit"),
        (proto_of([MAX_ELEMENTS + 1], float_val=[1.0]), "repeated values"),
        (proto_of([1 << 40, 1 << 40], float_val=[1.0]), "impossible shape"),
        (proto_of([0, 1 << 62], float_val=[]), "impossible shape"),
        (proto_of([-1], float_val=[1.0]), "impossible shape"),
        (proto_of([1] * (MAX_RANK + 1), float_val=[1.0]), "impossible shape"),
        (proto_of([], dtype=20), "found: resource"),
        (proto_of([], dtype=0), "found: DataType 0"),
    ],
)
def test_tensors_that_contradict_themselves(proto: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        tensor_to_array(proto, "node 'x'")


def test_unknown_rank_is_no_shape() -> None:
    with pytest.raises(CheckpointError, match="unknown rank"):
        shape_of(message_class("TensorShapeProto")(unknown_rank=True), "x")


@given(st.sampled_from([0, *DTYPES, 7, 20, 119]), st.binary(max_size=60))
def test_any_tensor_is_an_array_or_a_checkpoint_error(dtype: int, data: bytes) -> None:
    try:
        proto = parse("TensorProto", data, "garbage")
        proto.dtype = dtype
        array = tensor_to_array(proto)
    except CheckpointError:
        return
    assert array.shape == tuple(dim.size for dim in proto.tensor_shape.dim)


def test_nothing_is_built_before_it_is_needed() -> None:
    """Importing the module must not import protobuf, let alone TensorFlow."""
    code = (
        "import sys, rnnscope.files.tensorflow.protos;"
        "sys.exit(any(n.startswith(('google.protobuf', 'tensorflow')) for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
