"""The plain layers between recurrent ones, in Keras and in ONNX Runtime beside their source."""

from __future__ import annotations

import numpy as np
import pytest

import rnnscope

pytestmark = pytest.mark.slow


def _features(keras):
    """A layer of every kind that is written, between layers of every cell."""
    layers = keras.layers
    return [
        keras.Input((None, 5), name="x"),
        layers.Rescaling(0.5, 0.25),
        layers.Dense(6, activation="elu", name="first"),
        layers.LSTM(4, return_sequences=True, name="lstm"),
        layers.BatchNormalization(name="batch"),
        layers.Dropout(0.5),
        layers.GRU(4, return_sequences=True, name="gru"),
        layers.LayerNormalization(name="norm"),
        layers.TimeDistributed(layers.Dense(3, activation="softsign")),
        layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True), merge_mode="mul"),
        layers.Activation("hard_sigmoid"),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True), merge_mode="ave"),
        layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode="sum", name="top"),
    ]


def _ids(keras):
    layers = keras.layers
    return [
        keras.Input((None,), dtype="int32", name="ids"),
        layers.Embedding(9, 5, mask_zero=True),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        layers.GRU(3, return_sequences=True, reset_after=False),
    ]


def _source(keras, layers, path):
    """The model, with every weight far from its start."""
    model = keras.Sequential(layers(keras))
    rng = np.random.default_rng(11)
    for layer in model.layers:
        layer.set_weights([
            np.abs(one) + 0.5 if "variance" in variable.name else one
            for variable, shape in ((v, tuple(v.shape)) for v in layer.weights)
            for one in [rng.normal(scale=0.6, size=shape).astype(np.float32)]
        ])  # fmt: skip
    model.save(path)
    return model


@pytest.mark.parametrize("layers", [_features, _ids])
def test_every_plain_layer_is_carried_over(layers, tmp_path):
    import keras
    import onnxruntime

    path = tmp_path / "source.keras"
    model = _source(keras, layers, path)
    rng = np.random.default_rng(4)
    lengths = np.array([7, 4, 1], np.int32)
    if layers is _ids:
        x = rng.integers(1, 9, (3, 7))
        x[np.arange(7) >= lengths[:, None]] = 0
    else:
        x = rng.normal(size=(3, 7, 5)).astype(np.float32)
    wanted = np.asarray(model(x))

    rnnscope.convert(path, "keras", tmp_path / "out.keras")
    again = keras.models.load_model(tmp_path / "out.keras")
    np.testing.assert_allclose(np.asarray(again(x)), wanted, rtol=0, atol=3e-6)

    rnnscope.convert(path, "onnx", tmp_path / "out.onnx", expose_states=True)
    session = onnxruntime.InferenceSession(tmp_path / "out.onnx")
    feed = {"x": x.astype(np.int64) if layers is _ids else x}
    valid = np.ones((3, 7), bool)
    if "lengths" in {one.name for one in session.get_inputs()}:
        masked = layers is _ids
        feed["lengths"] = lengths if masked else np.full(3, 7, np.int32)
        valid = np.arange(7) < feed["lengths"][:, None]
    found = session.run(["outputs"], feed)[0]
    np.testing.assert_allclose(found[valid], wanted[valid], rtol=0, atol=3e-6)


def test_a_layer_between_that_onnx_lacks_is_named(tmp_path):
    import keras

    layers = keras.layers
    path = tmp_path / "source.keras"
    keras.Sequential([
        keras.Input((None, 3)),
        layers.LSTM(4, return_sequences=True),
        layers.Activation("mish", name="between"),
        layers.LSTM(2),
    ]).save(path)  # fmt: skip
    with pytest.raises(rnnscope.RnnscopeError) as refused:
        rnnscope.convert(path, "onnx", tmp_path / "out.onnx")
    assert refused.value.what == "A layer between recurrent ones is not written for onnx."
    assert refused.value.where == "between"
    assert refused.value.found == "Activation"
    rnnscope.convert(path, "keras", tmp_path / "out.keras")


def test_a_layer_in_front_that_is_not_written_is_left_out(tmp_path):
    import keras

    layers = keras.layers
    path = tmp_path / "source.keras"
    keras.Sequential([
        keras.Input((None, 3)),
        layers.Conv1D(4, 2, padding="causal", name="front"),
        layers.LSTM(4),
    ]).save(path)  # fmt: skip
    done = rnnscope.convert(path, "onnx", tmp_path / "out.onnx")
    assert done.left_out == (
        "What stands in front: 'front'. The model begins with what the next layer reads.",
    )
