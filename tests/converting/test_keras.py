"""Keras 3 opens what was written, and computes the source's states."""

from __future__ import annotations

import numpy as np
import pytest
from converting.sources import gru_before_reset, one_lstm, source

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.engines.numpy_engine import run_layer

pytestmark = pytest.mark.slow

FAMILIES = [
    "tf1", "keras 2", "keras 2 stack", "keras 3", "torch gru", "torch relu",
    "torch stack, both ways, ids", "onnx gru", "onnx lstm", "onnx rnn", "onnx backward",
]  # fmt: skip


def _check(path, tmp_path):
    import keras

    done = rnnscope.convert(path, "keras", tmp_path / "out.keras")
    model = keras.models.load_model(tmp_path / "out.keras")
    before = read_checkpoint(path).network
    rng = np.random.default_rng(5)
    for layer in done.layers:
        own = before.node(layer.name).recurrent
        name, _, direction = layer.written_as.partition("/")
        stored = model.get_layer(name)
        if direction:
            stored = getattr(stored, f"{direction.partition('_')[0]}_layer")
        config = {**stored.get_config(), "return_sequences": True, "return_state": True}
        alone = type(stored).from_config(config)
        x = rng.normal(size=(3, 8, own.cell.input_size)).astype(own.cell.dtype)
        alone.build(x.shape)
        alone.set_weights(stored.get_weights())
        m, *finals = (np.asarray(one) for one in alone(x))
        states = run_layer(own, x)
        if own.backward.value:
            m = m[:, ::-1]
        tolerance = {"rtol": 0, "atol": 3e-6 if x.dtype == np.float32 else 1e-12}
        np.testing.assert_allclose(m, states.states["m"], **tolerance)
        for final, state in zip(finals, ("m", "c"), strict=False):
            np.testing.assert_allclose(final, states.final[state], **tolerance)
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_keras_gives_the_sources_states(family, tmp_path):
    _check(source(family), tmp_path)


def test_the_whole_model_masks_as_the_source_does(tmp_path):
    """Outputs of Keras over padded input are those of the trace, held at masked steps."""
    model = _check(source("keras 3"), tmp_path)
    with np.load(source("keras 3").parent / "inputs.npz") as file:
        x = file["x"]
    with np.load(source("keras 3").parent / "truth.npz") as file:
        np.testing.assert_allclose(model.predict(x, verbose=0), file["outputs"], rtol=0, atol=3e-6)


def test_a_gru_whose_reset_gate_comes_first(tmp_path):
    _check(gru_before_reset(tmp_path / "gru.h5"), tmp_path)


def test_keras_own_hard_sigmoid(tmp_path):
    _check(one_lstm(tmp_path / "m.h5", "3.0.0", recurrent_activation="hard_sigmoid"), tmp_path)


def _tree(keras):
    """Branches of several lengths from one input, of a class that comes again and again."""
    layers = keras.layers
    x = keras.Input((None, 5), name="x")
    low = layers.Dense(6, activation="tanh", name="low")(x)
    a = layers.LSTM(4, return_sequences=True, name="a")(low)
    b = layers.LSTM(4, return_sequences=True, name="b")(low)
    c = layers.LSTM(4, return_sequences=True, name="c")(x)
    deep = layers.LSTM(4, return_sequences=True, name="deep")(
        layers.Dense(4, name="between")(layers.LSTM(4, return_sequences=True, name="d")(b))
    )
    both = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(c)
    return keras.Model(x, [c, a, deep, both, layers.GRU(3, name="e")(a)])


def test_branches_from_one_input(tmp_path):
    """Weights lie under counted names, in the order in which Keras counts a Functional model's."""
    import keras

    model = _tree(keras)
    rng = np.random.default_rng(5)
    model.set_weights([rng.normal(scale=0.5, size=one.shape) for one in model.get_weights()])
    model.save(tmp_path / "in.keras")
    done = rnnscope.convert(tmp_path / "in.keras", "keras", tmp_path / "out.keras")
    again = keras.models.load_model(tmp_path / "out.keras")
    x = rng.normal(size=(2, 6, 5)).astype("f4")
    leaves = done.load[-1].partition(" =")[0].split(", ")
    assert {*leaves} == {"deep", "both", "e"}
    found = dict(zip(leaves, again.predict(x, verbose=0), strict=True))
    wanted = dict(zip(("c", "a", "deep", "both", "e"), model.predict(x, verbose=0), strict=True))
    for name, array in found.items():
        np.testing.assert_allclose(array, wanted[name], rtol=0, atol=3e-6)
    for name in ("a", "b", "c", "d"):
        for one, other in zip(
            again.get_layer(name).get_weights(), model.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_two_layers_that_read_the_same(tmp_path):
    """Those of keras #10179: two cells of TensorFlow 1 over one x, as one model of two outputs."""
    _check(source("tf1 two"), tmp_path)


def test_a_mask_in_branches_is_refused_by_name(tmp_path):
    """A Functional model hands masks on by wires of their own, which are not written."""
    import keras

    layers = keras.layers
    x = keras.Input((None, 3), name="x")
    masked = layers.Masking(name="masked")(x)
    outputs = [layers.LSTM(2, return_sequences=True, name=name)(masked) for name in "ab"]
    keras.Model(x, outputs).save(tmp_path / "in.keras")
    with pytest.raises(rnnscope.RnnscopeError) as refused:
        rnnscope.convert(tmp_path / "in.keras", "keras", tmp_path / "out.keras")
    assert (refused.value.where, refused.value.what) == (
        "masked", "A layer that makes a mask is written for Keras in a chain alone.",
    )  # fmt: skip
    rnnscope.convert(tmp_path / "in.keras", "keras", tmp_path / "a.keras", layers=["a"])
