"""Core ML's models: states equal to PyTorch's, or to the equations that the format documents."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.coreml.proto import SCHEMA, TABLE
from rnnscope.errors import CheckpointError, RnnscopeError, UnsupportedCellError

FOLDER = DATA / "coreml"
CLOSE = {"atol": 3e-6, "rtol": 0}

FILES = {
    "lstm": ("lstm_program.mlpackage", "lstm_network.mlmodel"),
    "rnn": ("rnn_program.mlpackage", "rnn_network.mlmodel"),
    "peepholes": ("peepholes.mlmodel",),
    "coupled": ("coupled.mlmodel",),
    "gru": ("gru.mlmodel",),
    "gru_program": ("gru_program.mlpackage",),
    "quantised": ("quantised.mlmodel",),
}
"""The files of one layer that each truth is for."""

TIME_FIRST = ("peepholes", "coupled", "gru", "gru_program", "quantised")


def truth_of(name):
    with np.load(FOLDER / "truth.npz") as truth:
        own = {key.split(":")[1]: truth[key] for key in truth if key.split(":")[0] == name}
    return own.pop("x"), own


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name, files in FILES.items() for file in files]
)
def test_states_of_one_layer(name, file):
    x, truth = truth_of(name)
    x = x.swapaxes(0, 1) if name in TIME_FIRST else x
    with rnnscope.run(FOLDER / file, x) as trace:
        (layer,) = trace.layers.values()
        for state, expected in truth.items():
            np.testing.assert_allclose(getattr(layer, state), expected, **CLOSE)


@pytest.mark.parametrize("file", ["both_program.mlpackage", "both_network.mlmodel"])
def test_two_directions(file):
    x, truth = truth_of("both")
    with rnnscope.run(FOLDER / file, x) as trace:
        forward, backward, _ = trace.layers.values()
        for state, expected in truth.items():
            made = np.concatenate([getattr(one, state) for one in (forward, backward)], -1)
            np.testing.assert_allclose(made, expected, **CLOSE)


def test_weights_of_16_bits_are_widened():
    x, truth = truth_of("half")
    checkpoint = read_checkpoint(FOLDER / "half_program.mlpackage")
    assert any("16 bits" in note for note in checkpoint.notes)
    with rnnscope.run(FOLDER / "half_program.mlpackage", x) as trace:
        (layer,) = trace.layers.values()
        # The program rounds x to 16 bits before, which is computed as 32 here.
        np.testing.assert_allclose(layer.m, truth["m"], atol=1e-3)


@pytest.mark.parametrize("file", ["front_program.mlpackage", "front_network.mlmodel"])
def test_what_stands_in_front_is_computed(file):
    """An embedding and a convolution: held to the graph, and equal to PyTorch's."""
    ids, truth = truth_of("front")
    checkpoint = read_checkpoint(FOLDER / file)
    assert str(checkpoint.network.recurrent[0].recurrent.evidence).startswith("proved")
    assert "the cell alone" not in str(checkpoint.network.recurrent[0].recurrent.evidence)
    with rnnscope.run(FOLDER / file, ids, ids=True) as trace:
        (layer,) = trace.layers.values()
        for state, expected in truth.items():
            np.testing.assert_allclose(getattr(layer, state), expected, **CLOSE)


def test_inspect_tells_it_in_core_mls_words():
    layer = read_checkpoint(FOLDER / "coupled.mlmodel").network.recurrent[0].recurrent
    assert layer.cell.source_class == "Core ML uniDirectionalLSTM"
    options = layer.cell.options
    assert (options.cell_clip.value, options.gate_clip.value) == (0.3, 50.0)
    assert options.coupled.value is True
    assert layer.backward.value is True
    assert layer.state_format.value == "outputs (h, c)"


def test_a_limit_of_c_counts():
    """Without it the states would be others: the test above tells them apart."""
    _, truth = truth_of("peepholes")
    assert np.abs(truth["c"]).max() == pytest.approx(0.3)


def refused(tmp_path, file, change):
    """Read a network whose first recurrent layer was changed."""
    model = TABLE.message_class("Model").FromString((FOLDER / file).read_bytes())
    change(model.neuralNetwork.layers[0])
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model.SerializeToString())
    return read_checkpoint(path)


def test_an_activation_that_recurrent_layers_do_not_have(tmp_path):
    def change(layer):
        layer.uniDirectionalLSTM.activations[0].ELU.alpha = 1.0

    with pytest.raises(UnsupportedCellError, match="uniDirectionalLSTM"):
        refused(tmp_path, "peepholes.mlmodel", change)


def test_weights_that_do_not_fit(tmp_path):
    def change(layer):
        layer.uniDirectionalLSTM.inputVectorSize = 9

    with pytest.raises(CheckpointError, match="do not fit their layer"):
        refused(tmp_path, "peepholes.mlmodel", change)


def test_a_loop_is_named(tmp_path):
    """What a program repeats is not read; a layer of unknown kind is named by its number."""

    def change(layer):
        layer.ClearField("uniDirectionalLSTM")

    with pytest.raises(UnsupportedCellError, match="Core ML model holds no"):
        refused(tmp_path, "peepholes.mlmodel", change)


def copied(tmp_path):
    path = tmp_path / "m.mlpackage"
    shutil.copytree(FOLDER / "lstm_program.mlpackage", path)
    return path, path / "Data" / "com.apple.CoreML"


def test_a_package_without_its_weights(tmp_path):
    path, data = copied(tmp_path)
    for file in (data / "weights").iterdir():
        file.unlink()
    with pytest.raises(RnnscopeError, match=r"weight\.bin"):
        read_checkpoint(path)


def test_a_package_whose_weights_are_cut_off(tmp_path):
    path, data = copied(tmp_path)
    weights = data / "weights" / "weight.bin"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(RnnscopeError):
        read_checkpoint(path)


def test_a_manifest_that_points_outside(tmp_path):
    path, _ = copied(tmp_path)
    manifest = json.loads((path / "Manifest.json").read_text())
    root = manifest["rootModelIdentifier"]
    manifest["itemInfoEntries"][root]["path"] = "../../elsewhere.mlmodel"
    (path / "Manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="names no model"):
        read_checkpoint(path)


def lines():
    """Every field of the table: message, name, number, repeated, type."""
    message = ""
    for line in filter(None, SCHEMA.splitlines()):
        if not line.startswith(" "):
            message = line
            continue
        for field in line.split("  "):
            if field.strip():
                yield message, field.strip()


def test_the_table_is_what_coremltools_own_messages_say():
    """``schema.json`` lists coremltools' fields; the script beside this test wrote it."""
    known = json.loads((FOLDER / "schema.json").read_text())
    for message, field in lines():
        name, rest = field.split("=")
        number, kind = rest.split(" ")
        kind = kind.partition(":")[0]
        own = known[message]
        assert own[name][0] == int(number), (message, name)
        assert own[name][1] == kind.startswith(("*", "{")), (message, name)
        if kind.strip("*{}") not in ("Nothing", "AddLayerParams", "ReshapeStaticLayerParams"):
            assert own[name][2] == kind.strip("*{}"), (message, name)
