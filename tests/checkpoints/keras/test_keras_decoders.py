"""Keras models whose decoder starts from what an encoder ends with, against Keras itself."""

from __future__ import annotations

import numpy as np
import pytest

RNG = np.random.default_rng(9)
X = RNG.normal(size=(3, 6, 5)).astype(np.float32)
Y = RNG.normal(size=(3, 4, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def keras():
    """Keras 3, with whichever backend is there."""
    return pytest.importorskip("keras")


def model_of(keras, kind, way):
    """An encoder of two directions, and a decoder that starts from both or from one."""
    layers = keras.layers
    cell = {"LSTM": layers.LSTM, "GRU": layers.GRU}[kind]
    x, y = keras.Input((None, 5), name="x"), keras.Input((None, 2), name="y")
    inner = cell(3, return_state=True, name="inner")
    _, *states = layers.Bidirectional(inner, name="encoder")(x)
    half = len(states) // 2
    pairs = list(zip(states[:half], states[half:], strict=True))
    ways = {
        "concat": lambda pair: layers.Concatenate()(list(pair)),
        "add": lambda pair: layers.Add()(list(pair)),
        "backward": lambda pair: pair[1],
    }
    start = [ways[way](pair) for pair in pairs]
    units = 6 if way == "concat" else 3
    decoder = cell(units, return_sequences=True, name="decoder")
    made = decoder(y, initial_state=start if kind == "LSTM" else start[0])
    model = keras.Model([x, y], made)
    # Keras begins with biases of zero, which would hide one that is swapped.
    model.set_weights([RNG.normal(0, 0.5, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("way", ["concat", "add", "backward"])
def test_a_decoder_starts_from_two_directions(keras, rnnscope, read_trace, tmp_path, kind, way):
    model = model_of(keras, kind, way)
    path, inputs, trace = (tmp_path / name for name in ("m.keras", "in.npz", "t.h5"))
    model.save(path)
    np.savez(inputs, x=X, y=Y)
    result = rnnscope(
        "run", path, inputs, "--decoder-inputs", f"{inputs}::y", "-o", trace, "--quiet"
    )
    assert (result.code, result.stderr) == (0, "")
    found = read_trace(trace)
    expected = np.asarray(model.predict([X, Y], verbose=0))
    np.testing.assert_allclose(found["decoder/outputs"], expected, rtol=0, atol=5e-6)


def test_states_of_different_layers_are_no_final_state(keras, rnnscope, tmp_path):
    """The h of one direction and the c of the other: named, and not run."""
    layers = keras.layers
    x, y = keras.Input((None, 5), name="x"), keras.Input((None, 2), name="y")
    inner = layers.LSTM(3, return_state=True, name="inner")
    _, h, _, _, c = layers.Bidirectional(inner, name="encoder")(x)
    made = layers.LSTM(3, return_sequences=True, name="decoder")(y, initial_state=[h, c])
    path, inputs = tmp_path / "m.keras", tmp_path / "in.npz"
    keras.Model([x, y], made).save(path)
    np.savez(inputs, x=X, y=Y)
    result = rnnscope("run", path, inputs, "-o", tmp_path / "t.h5")
    assert result.code == 0
    assert "decoder[initial state]" in " ".join(result.stdout.split())
