"""What protobuf allows on the wire is read as the official package reads it: files made by hand."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from rnnscope.checkpoints.onnx.graph.proto import HELD, TABLE, parse_model
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.slim_messages import MAX_PLACES, parse_file
from rnnscope.files.messages.values_in_file import LARGE_BYTES

DIMS, DATA_TYPE, FLOATS, NAME, RAW, DOUBLES = 1, 2, 4, 8, 9, 10
"""Fields of TensorProto, by number."""

LARGE = LARGE_BYTES // 4 + 11
RNG = np.random.default_rng(0)


def varint(value):
    made = b""
    while value > 0x7F:
        made, value = made + bytes([value & 0x7F | 0x80]), value >> 7
    return made + bytes([value])


def numbered(number, value):
    return varint(number * 8) + varint(value)


def sized(number, content):
    """A field of bytes: a text, a message, or a pack of a list."""
    return varint(number * 8 + 2) + varint(len(content)) + content


def single(number, value):
    """One element of a list, by itself."""
    kind, form = (1, "<d") if number == DOUBLES else (5, "<f")
    return varint(number * 8 + kind) + struct.pack(form, value)


def drawn(count, dtype="<f4"):
    return RNG.normal(size=count).astype(dtype)


def model(tensor):
    """A ModelProto with one initializer, and a node."""
    node = sized(1, b"large") + sized(2, b"y") + sized(4, b"Identity")
    graph = sized(1, node) + sized(5, tensor) + sized(12, sized(1, b"y"))
    return numbered(1, 8) + sized(7, graph) + sized(8, numbered(2, 17))


def in_pieces(number, pieces):
    """A tensor whose list is made of such fields, with its name and its type among them."""
    dtype = "<f8" if number == DOUBLES else "<f4"
    data_type = 11 if number == DOUBLES else 1
    values, fields = [], []
    for piece in pieces:
        array = drawn(abs(piece), dtype)
        values.append(array)
        fields += [sized(number, array.tobytes())] if piece >= 0 else [
            single(number, one) for one in array
        ]  # fmt: skip
    head = numbered(DIMS, sum(map(len, values)))
    fields[1:1] = [sized(NAME, b"large"), numbered(DATA_TYPE, data_type)]
    return head + b"".join(fields), np.concatenate(values)


def read(path):
    """The tensor as we have it, as the official package has it, and our message's bytes."""
    onnx = pytest.importorskip("onnx")
    parsed = parse_file(TABLE, "ModelProto", path, HELD)
    (own,) = parsed.graph.initializer
    (theirs,) = onnx.load(path).graph.initializer
    return TensorStore(path).array(own), onnx.numpy_helper.to_array(theirs), parsed.ByteSize()


@pytest.mark.parametrize("number", [FLOATS, DOUBLES], ids=["floats", "doubles"])
@pytest.mark.parametrize(
    "pieces",
    [(LARGE, LARGE), (LARGE, 5), (5, LARGE), (LARGE, 0, 3, LARGE), (-3, LARGE, -2, 7, -1),
     (LARGE // 2, LARGE // 2 + 1), (LARGE,)],
    ids=str,
)  # fmt: skip
def test_a_list_in_several_pieces(tmp_path, number, pieces):
    """Packs and single elements (below zero: so many) are one list, in their order."""
    tensor, values = in_pieces(number, pieces)
    path = tmp_path / "m.onnx"
    path.write_bytes(model(tensor))
    own, theirs, size = read(path)
    np.testing.assert_array_equal(theirs, values)
    np.testing.assert_array_equal(own, values)
    assert size < 8192


def test_a_list_in_too_many_pieces_is_parsed_with_its_message(tmp_path):
    tensor, values = in_pieces(FLOATS, (-MAX_PLACES, LARGE))
    path = tmp_path / "m.onnx"
    path.write_bytes(model(tensor))
    own, theirs, size = read(path)
    np.testing.assert_array_equal(theirs, values)
    np.testing.assert_array_equal(own, values)
    assert size > LARGE_BYTES


@pytest.mark.parametrize("first", [True, False])
def test_raw_bytes_go_before_a_list(tmp_path, first):
    """No writer stores both; the package reads the bytes."""
    raw, listed = drawn(8), drawn(LARGE)
    both = [sized(RAW, raw.tobytes()), sized(FLOATS, listed.tobytes())]
    head = numbered(DIMS, 8) + numbered(DATA_TYPE, 1) + sized(NAME, b"large")
    path = tmp_path / "m.onnx"
    path.write_bytes(model(head + b"".join(both if first else both[::-1])))
    own, theirs, _ = read(path)
    np.testing.assert_array_equal(theirs, raw)
    np.testing.assert_array_equal(own, raw)


@pytest.mark.parametrize("last", [LARGE, 8], ids=["large", "small"])
def test_of_bytes_that_come_twice_the_last_are_the_value(tmp_path, last):
    first, second = drawn(LARGE), drawn(last)
    fields = [sized(RAW, one.tobytes()) for one in (first, second)]
    head = numbered(DIMS, last) + numbered(DATA_TYPE, 1) + sized(NAME, b"large")
    path = tmp_path / "m.onnx"
    path.write_bytes(model(head + b"".join(fields)))
    own, theirs, _ = read(path)
    np.testing.assert_array_equal(theirs, second)
    np.testing.assert_array_equal(own, second)


def test_a_field_of_the_number_but_of_another_type_is_unknown(tmp_path):
    values = drawn(LARGE)
    fields = numbered(FLOATS, 7) + sized(FLOATS, values.tobytes()) + numbered(FLOATS, 9)
    head = numbered(DIMS, LARGE) + numbered(DATA_TYPE, 1) + sized(NAME, b"large")
    path = tmp_path / "m.onnx"
    path.write_bytes(model(head + fields))
    own, theirs, size = read(path)
    np.testing.assert_array_equal(theirs, values)
    np.testing.assert_array_equal(own, values)
    assert size < 8192


def test_a_message_in_two_parts_is_merged(tmp_path):
    """Of a Constant's value, half of the list in each."""
    onnx = pytest.importorskip("onnx")
    halves = [drawn(LARGE), drawn(LARGE)]
    head = numbered(DIMS, 2 * LARGE) + numbered(DATA_TYPE, 1)
    value = sized(1, b"value") + numbered(20, 4)
    for number, half in enumerate(halves):
        value += sized(5, (b"" if number else head) + sized(FLOATS, half.tobytes()))
    node = sized(2, b"y") + sized(4, b"Constant") + sized(5, value)
    path = tmp_path / "m.onnx"
    graph = sized(1, node) + sized(12, sized(1, b"y"))
    path.write_bytes(numbered(1, 8) + sized(7, graph) + sized(8, numbered(2, 17)))
    own = parse_file(TABLE, "ModelProto", path, HELD).graph.node[0].attribute[0].t
    theirs = onnx.load(path).graph.node[0].attribute[0].t
    true = np.concatenate(halves)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(theirs), true)
    np.testing.assert_array_equal(TensorStore(path).array(own), true)


def test_a_pack_that_ends_within_an_element_is_damage(tmp_path):
    """Two such packs together would be whole numbers of elements again."""
    halves = [sized(FLOATS, drawn(LARGE).tobytes() + b"12") for _ in range(2)]
    head = numbered(DIMS, 2 * LARGE + 1) + numbered(DATA_TYPE, 1) + sized(NAME, b"large")
    path = tmp_path / "m.onnx"
    path.write_bytes(model(head + b"".join(halves)))
    with pytest.raises(CheckpointError, match="does not parse"):
        parse_model(path)
