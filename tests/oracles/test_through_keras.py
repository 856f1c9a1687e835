"""Layers in front that Keras itself runs, in a process of its own, if the model is trusted."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning"),
]


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("keras")


@pytest.fixture
def run(rnnscope):
    """Run a model on its own input; the trace is beside it."""

    def on(path: Path, x: np.ndarray, *flags: str, own: bool = True):
        np.save(path.parent / "x.npy", x)
        words = [path, path.parent / "x.npy", "-o", path.parent / "trace.h5", "--force"]
        return rnnscope("run", *words, *(["--model-input"] if own else []), *flags)

    return on


def outputs(path: Path, layer: str) -> np.ndarray:
    with h5py.File(path.parent / "trace.h5") as file:
        group = file[layer]
        return np.asarray(group["outputs" if "outputs" in group else "m"])


def example() -> np.ndarray:
    x = np.random.default_rng(5).standard_normal((3, 8, 5)).astype(np.float32)
    x[0, 5:] = 0
    return x


def conv(keras):
    """A convolution, which shortens time, then an LSTM."""
    layers = keras.layers
    x = keras.Input((8, 5))
    y = layers.Conv1DTranspose(4, 3, strides=2, name="conv")(x)
    return keras.Model(x, layers.LSTM(3, return_sequences=True, name="rnn")(y))


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_convolution_in_front(keras, run, tmp_path, name):
    """The states are those of the model; the report says who computed what."""
    path, model = tmp_path / name, conv(keras)
    model.save(path)
    done = run(path, example(), "--trust-model")
    assert done.code == 0, done.stdout + done.stderr
    assert "computed by Keras" in " ".join(done.stdout.split())
    np.testing.assert_allclose(outputs(path, "rnn"), np.asarray(model(example())), atol=1e-6)


def test_without_trust_the_layer_in_the_way_is_named(keras, run, tmp_path):
    path = tmp_path / "model.keras"
    conv(keras).save(path)
    done = run(path, example())
    assert done.code == 2
    assert "Layer 'conv' of class Conv1DTranspose stands in front of 'rnn'" in done.stderr
    assert "--trust-model" in done.stderr
    assert not (tmp_path / "trace.h5").exists()


def test_trust_without_the_models_input_is_a_mistake(keras, run, tmp_path):
    path = tmp_path / "model.keras"
    conv(keras).save(path)
    done = run(path, example(), "--trust-model", own=False)
    assert done.code == 2
    assert "does nothing without --model-input" in done.stderr


def test_nothing_in_the_way_needs_no_keras(keras, run, tmp_path, monkeypatch):
    """The flag allows; it does not make a process that is not needed."""
    x = keras.Input((8, 5))
    model = keras.Model(x, keras.layers.LSTM(3, return_sequences=True, name="rnn")(x))
    model.save(tmp_path / "model.keras")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a process was started"))
    assert run(tmp_path / "model.keras", example(), "--trust-model").code == 0


@pytest.mark.slow
def test_inside_a_nested_model_and_a_wrapper(keras, run, tmp_path):
    """Both directions read what Keras hands back, with the mask that came with it."""
    layers = keras.layers
    a = keras.Input((8, 4))
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="lstm"), name="bi")
    inner = keras.Model(a, both(layers.PReLU(name="odd")(a)), name="inner")
    x = keras.Input((8, 5))
    model = keras.Model(x, inner(layers.Dense(4)(layers.Masking()(x))))
    model.save(tmp_path / "model.keras")
    done = run(tmp_path / "model.keras", example(), "--trust-model")
    assert done.code == 0, done.stdout + done.stderr
    got = np.concatenate(
        [
            outputs(tmp_path / "model.keras", f"inner/bi/{way}_lstm")
            for way in ("forward", "backward")
        ],
        axis=-1,
    )
    np.testing.assert_allclose(got, np.asarray(model(example())), atol=1e-6)


@pytest.mark.slow
def test_between_two_recurrent_layers(keras, run, tmp_path):
    """--layer says which one is meant; the one before it is Keras' business then."""
    layers = keras.layers
    x = keras.Input((8, 5))
    y = layers.LSTM(4, return_sequences=True, name="first")(x)
    y = layers.Conv1DTranspose(6, 3, name="conv")(y)
    model = keras.Model(x, layers.GRU(2, return_sequences=True, name="second")(y))
    path = tmp_path / "model.keras"
    model.save(path)
    assert "'conv' (Conv1DTranspose) is not computed" in run(path, example()).stdout
    done = run(path, example(), "--trust-model", "--layer", "second")
    assert done.code == 0, done.stdout + done.stderr
    np.testing.assert_allclose(outputs(path, "second"), np.asarray(model(example())), atol=1e-6)


@pytest.mark.slow
def test_lengths_of_another_time_axis(keras, run, tmp_path):
    """The convolution shortens time: lengths of the input say nothing of what comes out."""
    conv(keras).save(tmp_path / "model.keras")
    done = run(tmp_path / "model.keras", example(), "--trust-model", "--lengths", "8,5,3")
    assert done.code == 2
    assert "do not fit what the layer receives" in done.stderr


@pytest.mark.slow
def test_what_keras_says_when_it_fails(keras, run, tmp_path):
    """The last line of its traceback, and what to do instead."""
    path = tmp_path / "model.keras"
    conv(keras).save(path)
    x = example()[:, :2]
    done = run(path, x, "--trust-model")
    assert done.code == 2
    assert "Keras could not run the layers in front" in done.stderr
    assert "found: " in done.stderr
