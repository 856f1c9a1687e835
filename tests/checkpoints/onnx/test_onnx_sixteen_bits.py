"""What a graph casts to 16 bits is rounded to them; what it computes in them is told."""

from __future__ import annotations

import numpy as np
import onnx_files as of
import pytest
from onnx_files import node, value

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.model.half_floats import rounded

FLOAT, HALF, BFLOAT = 1, 10, 16
NAMES = {HALF: "float16", BFLOAT: "bfloat16"}
RNG = np.random.default_rng(1)
X = RNG.normal(size=(5, 2, 3)).astype(np.float32)


def lstm(x="x", kernel="W"):
    return node("LSTM", [x, kernel, "R", "B"], ["Y"], "lstm", hidden_size=4)


def written(path, nodes, arrays=None):
    arrays = of.weights() | (arrays or {})
    inputs = [value("x", (None, None, 3))]
    return of.save(path, of.graph([*nodes], inputs, [value("Y")], arrays))


def outputs(path, x=X):
    (layer,) = rnnscope.run(path, x, model_input=True).layers.values()
    return np.asarray(layer.outputs)


def there_and_back(first, last, to):
    return [node("Cast", [first], ["h"], "down", to=to), node("Cast", ["h"], [last], "up", to=1)]


@pytest.mark.parametrize("to", NAMES)
def test_what_a_layer_reads_is_rounded(tmp_path, to):
    cast = written(tmp_path / "cast.onnx", [*there_and_back("x", "f", to), lstm("f")])
    plain = written(tmp_path / "plain.onnx", [lstm()])
    wanted = outputs(plain, rounded(X, NAMES[to]))
    np.testing.assert_allclose(outputs(cast), wanted, rtol=0, atol=1e-6)
    assert np.abs(outputs(plain) - wanted).max() > 1e-4


@pytest.mark.parametrize("to", NAMES)
def test_as_onnxruntime_has_it(tmp_path, to):
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    path = written(tmp_path / "m.onnx", [*there_and_back("x", "f", to), lstm("f")])
    (theirs,) = ort.InferenceSession(str(path), options).run(None, {"x": X})
    np.testing.assert_allclose(outputs(path), theirs[:, 0].swapaxes(0, 1), rtol=0, atol=1e-6)


def test_weights_are_rounded(tmp_path):
    cast = written(tmp_path / "m.onnx", [*there_and_back("W", "V", HALF), lstm(kernel="V")])
    found = read_checkpoint(cast).network.recurrent[0].recurrent.cell.weights.kernel
    np.testing.assert_array_equal(found, rounded(found, "float16"))


def test_casting_like_a_half_float(tmp_path):
    like = [node("CastLike", ["x", "one"], ["h"], "like"), node("Cast", ["h"], ["f"], "up", to=1)]
    one = {"one": np.ones((), np.float16)}
    cast = written(tmp_path / "cast.onnx", [*like, lstm("f")], one)
    plain = written(tmp_path / "plain.onnx", [lstm()])
    wanted = outputs(plain, rounded(X, "float16"))
    np.testing.assert_allclose(outputs(cast), wanted, rtol=0, atol=1e-6)


def test_a_start_that_is_filled_and_cast(tmp_path):
    """As many rows as there are sequences: the one number is known, whatever their count."""
    filled = [
        node("Shape", ["x"], ["sizes"]), node("Gather", ["sizes", "one"], ["batch"]),
        node("Concat", ["first", "batch", "units"], ["shape"], axis=0),
        node("ConstantOfShape", ["shape"], ["w"], value=of.tensor("", np.float32([0.1]))),
        *there_and_back("w", "start", BFLOAT),
        node("LSTM", ["x", "W", "R", "B", "", "start"], ["Y"], "lstm", hidden_size=4),
    ]  # fmt: skip
    sizes = {"one": np.int64([1]), "first": np.int64([1]), "units": np.int64([4])}
    path = written(tmp_path / "m.onnx", filled, sizes)
    (layer,) = read_checkpoint(path).network.recurrent
    start = layer.recurrent.initial_state.value.parts["m"].values
    np.testing.assert_array_equal(start, np.full_like(start, rounded(0.1, "bfloat16")))


def test_what_is_computed_in_16_bits_is_told(tmp_path):
    """No one number is right: frameworks round after every op, or after some, or never."""
    product = [
        node("Cast", ["x"], ["h"], "down", to=HALF), node("MatMul", ["h", "k"], ["p"], "product"),
        node("Cast", ["p"], ["f"], "up", to=1),
    ]  # fmt: skip
    kernel = {"k": RNG.normal(size=(3, 3)).astype(np.float16)}
    path = written(tmp_path / "m.onnx", [*product, lstm("f")], kernel)
    notes = [note for note in read_checkpoint(path).notes if "16 bits" in note]
    assert notes == [
        "The graph computes in 16 bits: MatMul 'product'. rnnscope computes it in float32, and "
        "rounds to 16 bits where the graph casts."
    ]
    plain = written(tmp_path / "plain.onnx", [*there_and_back("x", "f", HALF), lstm("f")])
    assert not [note for note in read_checkpoint(plain).notes if "16 bits" in note]


def test_a_start_that_is_rounded_is_told(tmp_path):
    nodes = [
        *there_and_back("start", "rounded", HALF),
        node("LSTM", ["x", "W", "R", "B", "", "rounded"], ["Y"], "lstm", hidden_size=4),
    ]
    inputs = [value("x", (None, None, 3)), value("start", (1, None, 4))]
    made = of.graph(nodes, inputs, [value("Y")], of.weights())
    notes = read_checkpoint(of.save(tmp_path / "m.onnx", made)).notes
    assert (
        "The graph rounds initial state 'start' to 16 bits; rnnscope takes it as it is given."
        in notes
    )
