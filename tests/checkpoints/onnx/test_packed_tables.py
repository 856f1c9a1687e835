"""Whole numbers of less than a byte, and tensors of types that are not read."""

from __future__ import annotations

import numpy as np
import onnx_files as of
import pytest
from onnx_files import node, value

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.errors import CheckpointError, RnnscopeError, UnsupportedCellError
from rnnscope.files.messages.values_in_file import LARGE_BYTES

UINT4, INT4, UINT2, INT2 = 21, 22, 25, 26
X = np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32)
LSTM = node("LSTM", ["x", "W", "R", "B"], ["Y"], "lstm", hidden_size=4)
SCALE = {"scale": np.float32(0.5)}


def tensor(shape, kind, **values):
    return TABLE.message_class("TensorProto")(name="t", dims=shape, data_type=kind, **values)


def written(path, nodes, arrays, tensors, results=("Y",), inputs=(("x", (None, None, 3)),)):
    made = of.graph(
        nodes, [value(*one) for one in inputs], [value(name) for name in results], arrays, tensors
    )
    return of.save(path, made, opset=21)


@pytest.mark.parametrize(
    ("kind", "packed", "values"),
    [
        (INT4, b"\x21\xf8\x07", [1, 2, -8, -1, 7]),
        (UINT4, b"\x21\xf8\x07", [1, 2, 8, 15, 7]),
        (UINT2, b"\xe4\x02", [0, 1, 2, 3, 2]),
        (INT2, b"\xe4\x02", [0, 1, -2, -1, -2]),
    ],
)
def test_the_first_number_has_the_lowest_bits(tmp_path, kind, packed, values):
    """An odd one leaves the rest of its byte empty; a list has a byte in each of its values."""
    store = TensorStore(tmp_path / "m.onnx")
    for stored in ({"raw_data": packed}, {"int32_data": list(packed)}):
        found = store.array(tensor((1, 5), kind, **stored))
        assert found.dtype.itemsize == 1
        np.testing.assert_array_equal(found, [values])


def test_as_the_onnx_package_packs_them(tmp_path):
    helper = pytest.importorskip("onnx.helper")
    numbers = np.random.default_rng(1).integers(-8, 8, (5, 3))
    for kind, wanted in ((INT4, numbers), (UINT4, numbers + 8)):
        made = helper.make_tensor("t", kind, wanted.shape, wanted.ravel())
        ours = TABLE.message_class("TensorProto").FromString(made.SerializeToString())
        np.testing.assert_array_equal(TensorStore(tmp_path / "m").array(ours), wanted)


@pytest.mark.parametrize("size", [2, 4])
def test_bytes_that_do_not_fit_are_damage(tmp_path, size):
    with pytest.raises(CheckpointError, match="does not fit its shape"):
        TensorStore(tmp_path / "m").array(tensor((5,), INT4, raw_data=bytes(size)))


@pytest.mark.parametrize("kind", [INT4, UINT4, UINT2, 8, 14, 17, 20, 23, 99])
def test_what_no_layer_needs_is_not_asked_for(tmp_path, kind):
    """A head beside the layer, whose kernel is in 4 bits, or of a type that is not read."""
    size = {INT4: 5, UINT4: 5, UINT2: 3}.get(kind, 9)
    beside = [node("DequantizeLinear", ["t", "scale"], ["k"], "widen"),
              node("MatMul", ["x", "k"], ["side"], "head")]  # fmt: skip
    kernel = tensor((3, 3), kind, raw_data=bytes(size))
    path = written(
        tmp_path / "m.onnx", [*beside, LSTM], of.weights() | SCALE, [kernel], ("Y", "side")
    )
    plain = written(tmp_path / "plain.onnx", [LSTM], of.weights(), [])
    found, wanted = (rnnscope.run(one, X, model_input=True).layers["lstm"] for one in (path, plain))
    np.testing.assert_array_equal(found.outputs, wanted.outputs)


@pytest.mark.parametrize("rows", [9, 2 * LARGE_BYTES // 3 + 1])
def test_rows_of_a_table_in_4_bits(tmp_path, rows):
    """A large one stays in the file until its rows are asked for."""
    numbers = np.random.default_rng(2).integers(-8, 8, (rows, 3))
    padded = np.append(numbers.ravel(), [0] * (numbers.size % 2)).reshape(-1, 2) & 15
    packed = (padded[:, 0] | padded[:, 1] << 4).astype(np.uint8).tobytes()
    front = [node("DequantizeLinear", ["t", "scale"], ["wide"]),
             node("Gather", ["wide", "ids"], ["x"])]  # fmt: skip
    ids = value("ids", (None, None))
    ids.type.tensor_type.elem_type = 7
    made = of.graph(
        [*front, LSTM], [ids], [value("Y")], of.weights() | SCALE,
        [tensor((rows, 3), INT4, raw_data=packed)],
    )  # fmt: skip
    path = of.save(tmp_path / "m.onnx", made, opset=21)
    asked = np.int64([[0, 1, rows - 1], [4, 5, 6]])
    plain = written(tmp_path / "plain.onnx", [LSTM], of.weights(), [])
    x = (numbers[asked] * 0.5).astype(np.float32)
    wanted = rnnscope.run(plain, x, model_input=True).layers["lstm"]
    found = rnnscope.run(path, asked, model_input=True).layers["lstm"]
    np.testing.assert_allclose(found.outputs, wanted.outputs, rtol=0, atol=1e-6)


def test_a_weight_of_a_type_that_is_not_read_is_refused_by_name(tmp_path):
    arrays = of.weights()
    arrays.pop("W")
    kernel = TABLE.message_class("TensorProto")(
        name="W", dims=(1, 16, 3), data_type=17, raw_data=bytes(48)
    )
    path = written(tmp_path / "m.onnx", [LSTM], arrays, [kernel])
    with pytest.raises(
        UnsupportedCellError, match=r"'W' of ONNX data type 17 \(float8e4m3fn\), which rnnscope"
    ):
        rnnscope.run(path, X, model_input=True)


def test_a_front_of_a_type_that_is_not_read_is_refused_by_name(tmp_path):
    front = [node("DequantizeLinear", ["t", "scale"], ["k"], "widen"),
             node("MatMul", ["in", "k"], ["x"], "front")]  # fmt: skip
    kernel = tensor((3, 3), 17, raw_data=bytes(9))
    inputs = [("in", (None, None, 3))]
    path = written(
        tmp_path / "m.onnx", [*front, LSTM], of.weights() | SCALE, [kernel], inputs=inputs
    )
    with pytest.raises(RnnscopeError, match=r"'t' of ONNX data type 17 \(float8e4m3fn\)"):
        rnnscope.run(path, X, model_input=True)
    assert read_checkpoint(path).network.recurrent[0].name == "lstm"


def test_numbers_are_not_quantised_to_4_bits_as_if_they_were_8(tmp_path):
    """The graph's own zero point says to how many bits, and its array is wider."""
    front = [node("QuantizeLinear", ["in", "scale", "t"], ["q"], "narrow"),
             node("DequantizeLinear", ["q", "scale", "t"], ["x"], "widen")]  # fmt: skip
    inputs = [("in", (None, None, 3))]
    zero = tensor((), INT4, raw_data=b"\0")
    path = written(tmp_path / "m.onnx", [*front, LSTM], of.weights() | SCALE, [zero], inputs=inputs)
    with pytest.raises(RnnscopeError, match="makes numbers of another kind"):
        rnnscope.run(path, 100 * X, model_input=True)
