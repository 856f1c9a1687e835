"""Large values stay in their files, and are what they would be if they had been read at once."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.checkpoints.onnx.graph.proto import HELD, TABLE
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.slim_messages import parse_file
from rnnscope.files.messages.values_in_file import (
    LARGE_BYTES,
    Grid,
    Place,
    ValueInFile,
    WidenedValue,
    value_in_file,
    whole_value,
)

COUNT = LARGE_BYTES // 4
LARGE = np.arange(COUNT, dtype="<f4")


def saved(path, **fields):
    """A model with a node, a large tensor and a small one."""
    model = TABLE.message_class("ModelProto")(ir_version=8, producer_name="a test")
    model.graph.node.add(op_type="Identity", input=["large"], output=["y"])
    model.graph.initializer.add(name="large", dims=[COUNT], **fields)
    model.graph.initializer.add(name="small", dims=[2], data_type=1, raw_data=LARGE[:2].tobytes())
    model.graph.output.add(name="y")
    path.write_bytes(model.SerializeToString())
    return path, model


@pytest.mark.parametrize(
    "fields",
    [{"data_type": 1, "raw_data": LARGE.tobytes()}, {"data_type": 1, "float_data": LARGE},
     {"data_type": 11, "double_data": LARGE}],
    ids=["bytes", "floats", "doubles"],
)  # fmt: skip
def test_a_large_tensor_is_read_when_it_is_asked_for(tmp_path, fields):
    path, model = saved(tmp_path / "m.onnx", **fields)
    parsed = parse_file(TABLE, "ModelProto", path, HELD)
    large, small = parsed.graph.initializer
    assert parsed.ByteSize() < 4096 < model.ByteSize()
    assert value_in_file(small.raw_data) is None
    np.testing.assert_array_equal(TensorStore(path).array(large), LARGE)
    np.testing.assert_array_equal(TensorStore(path).array(small), LARGE[:2])
    for one in (parsed, model):
        del one.graph.initializer[:]
    assert parsed == model


def test_floats_are_not_taken_for_whole_numbers(tmp_path):
    path, _ = saved(tmp_path / "m.onnx", data_type=6, float_data=LARGE)
    tensor = parse_file(TABLE, "ModelProto", path, HELD).graph.initializer[0]
    with pytest.raises(CheckpointError, match="does not fit its shape"):
        TensorStore(path).array(tensor)


def test_a_large_tensor_of_another_size_is_refused(tmp_path):
    path, _ = saved(tmp_path / "m.onnx", data_type=1, raw_data=LARGE.tobytes() + b"1234")
    tensor = parse_file(TABLE, "ModelProto", path, HELD).graph.initializer[0]
    with pytest.raises(CheckpointError, match="does not fit its shape"):
        TensorStore(path).array(tensor)


def test_a_file_that_was_cut_meanwhile_is_named(tmp_path):
    path, model = saved(tmp_path / "m.onnx", data_type=1, raw_data=LARGE.tobytes())
    tensor = parse_file(TABLE, "ModelProto", path, HELD).graph.initializer[0]
    path.write_bytes(model.SerializeToString()[: LARGE_BYTES // 2])
    with pytest.raises(CheckpointError, match="shorter than it was"):
        TensorStore(path).array(tensor)


def test_no_file_can_hold_a_stand_in_for_another(tmp_path):
    """A stand-in of another process is bytes like any others: its mark differs."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"1234")
    forged = bytearray(ValueInFile.at(str(secret), 0, 4).stand_in())
    forged[0] ^= 1
    assert value_in_file(bytes(forged)) is None
    assert whole_value(bytes(forged)) == bytes(forged)


def in_places(folder, data, sizes):
    """Bytes in files one after another, each with something in front and behind."""
    places, start = [], 0
    for number, size in enumerate(sizes):
        path = folder / f"{number}.bin"
        path.write_bytes(b"front" + data[start : start + size] + b"behind")
        places.append(Place(str(path), 5, size))
        start += size
    assert start == len(data)
    return tuple(places)


def test_a_value_in_several_files_is_one(tmp_path):
    """Files end within numbers, and within what is read at a time."""
    data = np.random.default_rng(0).bytes(3 * LARGE_BYTES + 12)
    sizes = (1, LARGE_BYTES - 3, 0, LARGE_BYTES + 2, 7, LARGE_BYTES + 5)
    value = ValueInFile(in_places(tmp_path, data, sizes), "<f4")
    told = value_in_file(value.stand_in())
    assert told == value
    assert told.size == len(data)
    assert told.read() == data
    pieces = list(told.pieces())
    assert [len(piece) for piece in pieces] == [LARGE_BYTES] * 3 + [12]
    assert b"".join(pieces) == data


@pytest.mark.parametrize("dtype", ["<i1", "<u1", "<i2", "<u2", "<i4"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_whole_numbers_are_what_they_stand_for(tmp_path, dtype, axis):
    """As numpy broadcasts it, over a table of more than one piece."""
    rng, shape = np.random.default_rng(1), (90, 170, 73)
    bounds = np.iinfo(dtype)
    numbers = rng.integers(bounds.min, bounds.max, shape, dtype=dtype, endpoint=True)
    count = 1 if axis is None else shape[axis]
    scale = rng.uniform(0.001, 0.1, count).astype("<f4")
    zero = rng.integers(-100, 100, count).astype("<i8")
    along = [-1 if place == axis else 1 for place in range(3)]
    true = ((numbers.astype(np.float64) - zero.reshape(along)) * scale.reshape(along)
            - 0.25).astype(np.float32)  # fmt: skip
    data = numbers.tobytes()
    stored = ValueInFile(in_places(tmp_path, data, (1001, len(data) - 1001)), dtype)
    if axis is None:
        grid = Grid(float(scale[0]), int(zero[0]), -0.25)
    else:
        for name, array in (("scale", scale), ("zero", zero)):
            (tmp_path / name).write_bytes(b"12345678" + array.tobytes())
        lists = [ValueInFile.at(str(tmp_path / name), 8, array.nbytes, array.dtype.str)
                 for name, array in (("scale", scale), ("zero", zero))]  # fmt: skip
        grid = Grid(*lists, -0.25, axis)
    value = WidenedValue(stored, shape, grid)
    told = value_in_file(value.stand_in())
    assert told == value
    assert told.size == true.nbytes
    made = np.frombuffer(told.read(), "<f4").reshape(shape)
    np.testing.assert_array_equal(made, true)


def test_floats_of_16_bits_are_widened(tmp_path):
    true = np.random.default_rng(2).normal(size=(LARGE_BYTES, 2)).astype("<f2")
    (tmp_path / "table").write_bytes(true.tobytes())
    stored = ValueInFile.at(str(tmp_path / "table"), 0, true.nbytes, "<f2")
    made = np.frombuffer(WidenedValue(stored, true.shape).read(), "<f4")
    np.testing.assert_array_equal(made, true.astype("<f4").ravel())


@pytest.mark.parametrize("read", [ValueInFile.read, lambda value: list(value.pieces())])
def test_a_place_behind_the_end_of_its_file_is_named(tmp_path, read):
    (tmp_path / "short").write_bytes(b"123456")
    with pytest.raises(CheckpointError, match="shorter than it was"):
        read(ValueInFile.at(str(tmp_path / "short"), 4, 4))


@pytest.mark.parametrize("read", [ValueInFile.read, lambda value: list(value.pieces())])
def test_a_file_that_is_gone_meanwhile_is_named(tmp_path, read):
    """A FileNotFoundError of Python ended the program, days into a run."""
    with pytest.raises(CheckpointError, match="cannot be read any more") as caught:
        read(ValueInFile.at(str(tmp_path / "gone"), 4, 4))
    assert str(caught.value.where) == str(tmp_path / "gone")
