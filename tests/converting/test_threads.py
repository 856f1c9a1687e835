"""What people asked for in public threads: the table at the end of CONVERTING.md.

Each case is held to what the thread says must be done with the arrays by hand: blocks moved, turned
and added up in the test, and not by the house.
"""

from __future__ import annotations

import io
import zipfile

import h5py
import numpy as np
import pytest
from converting.sources import source
from explaining.model_files import save_safetensors

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import UnsupportedCellError

UNITS, INPUTS = 4, 3


def keras_variables(path, group):
    """The arrays of a layer of a .keras file, as they lie in it."""
    with zipfile.ZipFile(path) as archive:
        stored = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(stored) as file:
        return [np.array(file[f"layers/{group}/vars/{number}"]) for number in range(3)]


def blocks(array, order, wanted):
    """Columns by gate, in another order."""
    parts = dict(zip(order, np.split(array, len(order), axis=-1), strict=True))
    return np.concatenate([parts[gate] for gate in wanted], axis=-1)


@pytest.mark.parametrize("layer", ["fw", "bw"])
def test_keras_10179_tensorflow_1_weights_in_keras(layer, tmp_path):
    """One kernel in two, i j f o as i f c o, and the 1 that TensorFlow adds is in the bias."""
    done = rnnscope.convert(
        source("tf1 two"), "keras", tmp_path / "m.keras", layers=[f"rnn/{layer}"]
    )
    checkpoint = read_checkpoint(source("tf1 two"))
    kernel, bias = (
        blocks(checkpoint.read_variable(f"rnn/{layer}/{name}"), "ijfo", "ifjo")
        for name in ("kernel", "bias")
    )
    inputs = len(kernel) - kernel.shape[1] // 4
    found = keras_variables(tmp_path / "m.keras", "lstm/cell")
    np.testing.assert_array_equal(found[0], kernel[:inputs])
    np.testing.assert_array_equal(found[1], kernel[inputs:])
    units = kernel.shape[1] // 4
    np.testing.assert_array_equal(found[2], bias + np.repeat(np.float32([0, 1, 0, 0]), units))
    assert any("forget_bias=1" in words for words in done.folded)


@pytest.fixture(scope="module")
def torch_arrays():
    rng = np.random.default_rng(4)
    return {
        f"rnn.{name}_l0{end}": rng.normal(size=shape).astype(np.float32)
        for end in ("", "_reverse")
        for name, shape in {
            "weight_ih": (4 * UNITS, INPUTS),
            "weight_hh": (4 * UNITS, UNITS),
            "bias_ih": (4 * UNITS,),
            "bias_hh": (4 * UNITS,),
        }.items()
    }


def test_stackoverflow_48361376_four_arrays_of_torch_as_three_of_keras(torch_arrays, tmp_path):
    """Both kernels turned, both biases added; one order of gates; both directions of one layer."""
    path = save_safetensors(tmp_path / "m.safetensors", torch_arrays)
    rnnscope.convert(path, "keras", tmp_path / "m.keras")
    for direction, end in (("forward", ""), ("backward", "_reverse")):
        found = keras_variables(tmp_path / "m.keras", f"bidirectional/{direction}_layer/cell")
        w_x, w_h, b_x, b_h = (
            torch_arrays[f"rnn.{name}_l0{end}"]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        for array, wanted in zip(found, (w_x.T, w_h.T, b_x + b_h), strict=True):
            np.testing.assert_array_equal(array, wanted)


def test_flax_3746_two_biases_of_torch_in_the_one_of_flax(torch_arrays, tmp_path):
    """Flax has one bias, that of h: it is the sum."""
    import msgpack

    path = save_safetensors(
        tmp_path / "m.safetensors",
        {name: array for name, array in torch_arrays.items() if not name.endswith("reverse")},
    )
    rnnscope.convert(path, "flax", tmp_path / "m.msgpack")

    def array(_, data):
        shape, dtype, content = msgpack.unpackb(data)
        return np.frombuffer(content, dtype).reshape(shape)

    (layer,) = msgpack.unpackb((tmp_path / "m.msgpack").read_bytes(), ext_hook=array)[
        "params"
    ].values()
    added = torch_arrays["rnn.bias_ih_l0"] + torch_arrays["rnn.bias_hh_l0"]
    for gate, bias in zip("ifgo", np.split(added, 4), strict=True):
        np.testing.assert_array_equal(layer[f"h{gate}"]["bias"], bias)
        assert "bias" not in layer[f"i{gate}"]


ORDERS = {"LSTM": ("iofg", "ifgo"), "GRU": ("zrn", "rzn"), "RNN": ("h", "h")}
"""The gates of the operators, and those of rnnscope."""


def onnx_model(path, op):
    """One operator over (timestep, sequence, input), with random weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(6)
    wide = len(ORDERS[op][0]) * UNITS
    arrays = {
        name: rng.normal(scale=0.5, size=shape).astype(np.float32)
        for name, shape in {
            "W": (1, wide, INPUTS), "R": (1, wide, UNITS), "B": (1, 2 * wide)
        }.items()
    }  # fmt: skip
    more = {"linear_before_reset": 1} if op == "GRU" else {}
    node = helper.make_node(op, ["x", *arrays], ["y"], name="rnn", hidden_size=UNITS, **more)
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", "n", INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["t", 1, "n", UNITS])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )  # fmt: skip
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return arrays


@pytest.mark.parametrize("op", ORDERS)
@pytest.mark.parametrize("to", ["torch", "keras"])
def test_onnx2torch_136_and_onnx2keras_109_onnx_to_either(op, to, tmp_path):
    """What these tools refuse, ``NotImplementedError`` and "no support for LSTM", is written."""
    arrays = onnx_model(tmp_path / "m.onnx", op)
    path = tmp_path / {"torch": "m.pt", "keras": "m.keras"}[to]
    (layer,) = rnnscope.convert(tmp_path / "m.onnx", to, path).layers
    cell = read_checkpoint(path).network.node(layer.written_as).recurrent.cell
    stored, ours = ORDERS[op]
    w, r = (blocks(arrays[name][0].T, stored, ours) for name in "WR")
    np.testing.assert_array_equal(cell.weights.kernel, w)
    np.testing.assert_array_equal(cell.weights.recurrent_kernel, r)
    first, second = (blocks(part, stored, ours) for part in np.split(arrays["B"][0], 2))
    if op == "GRU":
        np.testing.assert_array_equal(cell.weights.bias, first)
        np.testing.assert_array_equal(cell.weights.recurrent_bias, second)
    else:
        np.testing.assert_array_equal(cell.weights.bias, first + second)


def test_onnx2torch_136_what_torch_lacks_is_said_with_what_has_it(tmp_path):
    """A GRU with linear_before_reset=0 is no nn.GRU: the message names it, and Keras."""
    with pytest.raises(UnsupportedCellError) as told:
        rnnscope.convert(source("openvino"), "torch", tmp_path / "m.pt")
    assert "has reset_after=False" in told.value.found
    assert "to=keras" in told.value.hint
