"""Large values of messages stay in their file, and the rest of the message is as it was."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.checkpoints.onnx.graph.proto import HELD, TABLE
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.values_in_file import (
    LARGE_BYTES,
    ValueInFile,
    parse_file,
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
