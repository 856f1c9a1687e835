"""What TensorFlow.js itself computed with models that were written: see ``make_converted_tfjs``."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from converting.sources import cell, keras_model, one_lstm, source
from data.make_converted_tfjs import TRUTH, WHOLE, cases, digest
from explaining.model_files import keras_layer, recurrent_layer

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import UnsupportedCellError

CASES = ("stack", "hard_sigmoid", "masked", "backward", "rnn", "gru", "plain", "ids")
NEAR = {"rtol": 0, "atol": 3e-6}


@pytest.fixture(scope="module")
def truth():
    with np.load(TRUTH) as file:
        return dict(file)


@pytest.mark.parametrize("case", CASES)
def test_tensorflow_js_computes_the_sources_states(case, truth, tmp_path):
    """The bytes are those that TensorFlow.js loaded, and its numbers are those of the source."""
    checkpoint = cases(tmp_path)[case]
    done = rnnscope.convert(checkpoint, "tfjs", tmp_path / "out")
    assert digest(tmp_path / "out") == str(truth[f"{case}:sha256"])
    network = read_checkpoint(checkpoint).network
    for layer in done.layers:
        own = network.node(layer.name).recurrent
        made = run_layer(own, truth[f"{case}:{layer.written_as}:x"])
        m = made.states["m"][:, ::-1] if own.backward.value else made.states["m"]
        np.testing.assert_allclose(m, truth[f"{case}:{layer.written_as}:outputs"], **NEAR)
        for state, final in made.final.items():
            wanted = truth[f"{case}:{layer.written_as}:{state}"]
            np.testing.assert_allclose(final, wanted, **NEAR)


@pytest.mark.parametrize("case", WHOLE)
def test_the_whole_model_gives_the_sources_outputs(case, truth, tmp_path):
    """With the plain layers between, and the mask that Masking and Embedding make."""
    checkpoint = cases(tmp_path)[case]
    trace = rnnscope.run(checkpoint, truth[f"{case}:x"], model_input=True)
    last = {"ids": "gru", "plain": "top"}.get(case, "")
    last = next(name for name in reversed([*trace.layers]) if name.startswith(last))
    outputs = np.array(trace.layers[last].outputs)
    trace.close()
    wanted = truth[f"{case}:outputs"]
    if wanted.ndim == 2:  # its last layer returns the last output alone
        outputs = outputs[:, -1]
    np.testing.assert_allclose(outputs, wanted, **NEAR)


def test_node_gives_the_kept_numbers_again(truth, tmp_path):
    """Where TensorFlow.js is installed: ``NODE_PATH=node_modules`` of its folder."""
    node = shutil.which("node")
    wanted = [str(node), "-e", "require.resolve('@tensorflow/tfjs')"]
    if node is None or subprocess.run(wanted, capture_output=True, check=False).returncode:
        pytest.skip("node with @tensorflow/tfjs is not installed; its numbers are kept")
    rnnscope.convert(source("keras 2 stack"), "tfjs", tmp_path / "out")
    x = truth["stack:lstm:x"]
    job = {"model": str(tmp_path / "out"), "x": None, "layers": {"lstm": x.tolist()}}
    script = Path(__file__).parents[1] / "data/run_tfjs.js"
    ran = subprocess.run(
        [node, str(script)], input=json.dumps(job), capture_output=True, text=True, check=True
    )
    outputs, *_ = json.loads(ran.stdout)["layers"]["lstm"]
    np.testing.assert_allclose(outputs, truth["stack:lstm:outputs"], **NEAR)


def test_the_folder_is_a_layers_model(tmp_path):
    """The manifest lists every array of the shard, in its order, to its last byte."""
    rnnscope.convert(source("keras 2 stack"), "tfjs", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "group1-shard1of1.bin", "model.json",
    ]  # fmt: skip
    model = json.loads((tmp_path / "out/model.json").read_text())
    assert (model["format"], model["modelTopology"]["class_name"]) == ("layers-model", "Sequential")
    (group,) = model["weightsManifest"]
    sizes = [4 * int(np.prod(one["shape"])) for one in group["weights"]]
    assert (tmp_path / "out" / group["paths"][0]).stat().st_size == sum(sizes)
    assert [one["name"] for one in group["weights"][:3]] == [
        "lstm/kernel", "lstm/recurrent_kernel", "lstm/bias",
    ]  # fmt: skip


def test_an_older_folder_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("x")
    with pytest.raises(rnnscope.RnnscopeError, match="exists already"):
        rnnscope.convert(source("keras 2 stack"), "tfjs", tmp_path / "out", force=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def refused(path, tmp_path):
    with pytest.raises(UnsupportedCellError) as told:
        rnnscope.convert(path, "tfjs", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    return told.value


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("hard_sigmoid", "3.0.0", "has recurrent_activation=hard_sigmoid_keras3"),
        ("exponential", "3.0.0", "has recurrent_activation=exponential"),
    ],
)
def test_activations_that_it_lacks(name, version, words, tmp_path):
    path = one_lstm(tmp_path / "m.h5", version, recurrent_activation=name)
    assert words in refused(path, tmp_path).found


def test_directions_of_different_options_are_no_bidirectional_there(tmp_path):
    """TensorFlow.js makes the backward layer of the forward one's configuration."""
    parts = {"forward": cell(seed=1), "backward": cell(seed=2, activation="relu")}
    layers = {key: recurrent_layer(one, f"{key}_lstm") for key, one in parts.items()}
    layers["backward"]["config"]["go_backwards"] = True
    both = keras_layer(
        "Bidirectional", "both", layer=layers["forward"], backward_layer=layers["backward"],
        merge_mode="concat",
    )  # fmt: skip
    cells = {f"both/{key}_lstm/lstm_cell": one for key, one in parts.items()}
    weights = {"both": [pair for name, one in cells.items() for pair in _weights(one, name)]}
    from explaining.model_files import save_keras

    path = save_keras(tmp_path / "m.h5", [both], weights, "2.4.0")
    assert "has other options in its second direction" in refused(path, tmp_path).found


def _weights(one, scope):
    from explaining.model_files import keras_weights

    return keras_weights(one, scope)


def test_rescaling_takes_no_mask_there(tmp_path):
    """It would throw when the model is run: the layer is named before."""
    one = cell()
    layers = [
        keras_layer("Masking", "mask", mask_value=0.0, batch_input_shape=[None, None, 3]),
        keras_layer("Rescaling", "half", scale=0.5, offset=0.0),
        recurrent_layer(one, "lstm"),
    ]
    path = keras_model(tmp_path / "m.h5", layers, {"lstm": one}, "2.4.0")
    error = refused(path, tmp_path)
    assert (error.where, error.what) == (
        "half", "TensorFlow.js' Rescaling takes no mask, and the model has one.",
    )  # fmt: skip
