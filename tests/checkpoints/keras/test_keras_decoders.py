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


UNITS = 4
START = {"c": RNG.normal(size=(3, UNITS)), "m": RNG.normal(size=(3, UNITS))}


def fed_model(keras, kind, path):
    """A layer whose initial state is an input of the model, saved."""
    layers = keras.layers
    x = keras.Input((None, 5), name="x")
    h, c = (keras.Input((UNITS,), name=name) for name in ("h_in", "c_in"))
    states = [h, c] if kind == "LSTM" else [h]
    layer = getattr(layers, kind)(UNITS, return_sequences=True, name="rec")
    model = keras.Model(
        [x, *states], layer(x, initial_state=states if kind == "LSTM" else states[0])
    )
    model.set_weights([RNG.normal(0, 0.5, w.shape).astype(w.dtype) for w in model.get_weights()])
    model.save(path)
    return lambda start: np.asarray(
        model.predict([X, *(start[name] for name in ("m", "c")[: len(states)])], verbose=0)
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("feed", [(), ("--feed", "rec")])
def test_an_initial_state_that_is_an_input_of_the_model(
    keras, rnnscope, read_trace, tmp_path, kind, feed
):
    """Given, it is used; not given, the run says that it starts from zeros instead."""
    outputs_of = fed_model(keras, kind, tmp_path / "m.keras")
    names = ("c", "m") if kind == "LSTM" else ("m",)
    start = {name: START[name].astype(np.float32) for name in names}
    np.save(tmp_path / "x.npy", X)
    given = []
    for name in names:
        np.save(tmp_path / f"{name}.npy", start[name])
        given += [f"--initial-{name}", tmp_path / f"{name}.npy"]
    run = ["run", tmp_path / "m.keras", tmp_path / "x.npy", *feed, "--force"]

    result = rnnscope(*run, *given, "-o", tmp_path / "given.h5")
    assert (result.code, result.stderr) == (0, "")
    made = read_trace(tmp_path / "given.h5")["rec/outputs"]
    np.testing.assert_allclose(made, outputs_of(start), rtol=0, atol=5e-6)
    text = " ".join(result.stdout.split())
    assert "initial_state given with the input flag" in text
    assert "starts from zeros" not in text

    result = rnnscope(*run, "-o", tmp_path / "zeros.h5")
    assert (result.code, result.stderr) == (0, "")
    zeros = {name: np.zeros_like(start[name]) for name in names}
    made = read_trace(tmp_path / "zeros.h5")["rec/outputs"]
    np.testing.assert_allclose(made, outputs_of(zeros), rtol=0, atol=5e-6)
    inputs = "inputs 'h_in', 'c_in'" if kind == "LSTM" else "input 'h_in'"
    text = " ".join(result.stdout.split())
    assert f"'rec' takes its initial state from the model's {inputs}" in text
    missing = "initial_c and initial_m were" if kind == "LSTM" else "initial_m was"
    assert f"no {missing} given, so that it starts from zeros here." in text


def test_one_state_given_of_two(keras, rnnscope, read_trace, tmp_path):
    """The other is said to start from zeros."""
    outputs_of = fed_model(keras, "LSTM", tmp_path / "m.keras")
    c = START["c"].astype(np.float32)
    np.savez(tmp_path / "in.npz", x=X, initial_c=c)
    result = rnnscope("run", tmp_path / "m.keras", tmp_path / "in.npz", "-o", tmp_path / "t.h5")
    assert (result.code, result.stderr) == (0, "")
    made = read_trace(tmp_path / "t.h5")["rec/outputs"]
    np.testing.assert_allclose(made, outputs_of({"c": c, "m": 0 * c}), rtol=0, atol=5e-6)
    text = " ".join(result.stdout.split())
    assert "no initial_m was given, so that m starts from zeros here." in text


def test_states_that_are_given_stand_in_for_one_that_is_not_computed(
    keras, rnnscope, read_trace, tmp_path
):
    """A Dense makes h of another input: refused as such, and run where both states are given."""
    layers = keras.layers
    x, z = keras.Input((None, 5), name="x"), keras.Input((2,), name="z")
    c = keras.Input((UNITS,), name="c_in")
    h = layers.Dense(UNITS, name="dense")(z)
    made = layers.LSTM(UNITS, return_sequences=True, name="rec")(x, initial_state=[h, c])
    keras.Model([x, z, c], made).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", X)
    run = ["run", tmp_path / "m.keras", "-o", tmp_path / "t.h5"]
    result = rnnscope(*run[:2], tmp_path / "x.npy", *run[2:])
    assert result.code == 2
    assert "'rec' was not run: its initial state is not computed" in result.stderr
    assert "features" not in result.stderr
    start = {f"rec/initial_{name}": START[name].astype(np.float32) for name in "cm"}
    np.savez(tmp_path / "in.npz", x=X, **start)
    result = rnnscope(*run[:2], tmp_path / "in.npz", *run[2:])
    assert (result.code, result.stderr) == (0, "")
    trace = read_trace(tmp_path / "t.h5")
    for name in "cm":
        assert np.array_equal(trace[f"rec/initial/{name}"], start[f"rec/initial_{name}"])
