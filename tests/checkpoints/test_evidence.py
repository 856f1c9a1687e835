"""Every format says how its layers are known, and so do traces and the library."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import rnnscope
from rnnscope.checkpoints import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, DATA = ROOT / "sample_data", ROOT / "tests/data"

KINDS = {
    SAMPLES / "lstm_float64/model.ckpt": "proved",
    SAMPLES / "lstm_float32/model.ckpt": "proved",
    SAMPLES / "keras_stack/model.h5": "by configuration",
    SAMPLES / "keras_mask/model.keras": "by configuration",
    DATA / "torch/tagger.pt": "by name",
    DATA / "torch_kinds/old_whole.pt": "by configuration",
    DATA / "onnx_models/lstm_states_old.onnx": "proved",
    DATA / "onnx_models/cell_loop_old.onnx": "evaluated",
}


def kinds(path):
    return {node.recurrent.evidence.kind for node in read_checkpoint(path).network.recurrent}


@pytest.mark.parametrize(("path", "kind"), KINDS.items(), ids=lambda value: str(value)[-30:])
def test_every_format_says_how_its_layers_are_known(path, kind):
    assert kinds(path) == {kind}


def test_variables_without_a_graph_are_known_by_name(tmp_path):
    for file in (SAMPLES / "lstm_float64").glob("model.ckpt.[di]*"):
        shutil.copy(file, tmp_path)
    assert kinds(tmp_path / "model.ckpt") == {"by name"}


def test_weights_of_keras_without_a_configuration_are_known_by_name(tmp_path):
    with (
        h5py.File(SAMPLES / "keras_stack/model.h5") as model,
        h5py.File(tmp_path / "weights.h5", "w") as weights,
    ):
        weights.attrs.update(model["model_weights"].attrs)
        for name in model["model_weights"]:
            model.copy(f"model_weights/{name}", weights)
    assert kinds(tmp_path / "weights.h5") == {"by name"}


def test_the_library_and_the_trace_say_it_too(tmp_path):
    path = SAMPLES / "lstm_float64/model.ckpt"
    (layer,) = rnnscope.open_model(path).layers.values()
    assert layer.evidence.steps > 0
    assert layer.evidence.difference < 1e-12
    with rnnscope.run(path, np.zeros((1, 2, 8)), output=tmp_path / "a.h5") as trace:
        assert trace.layers["rnn/lstm_cell"].evidence == str(layer.evidence)
    with rnnscope.open_trace(tmp_path / "a.h5") as trace:
        assert trace.layers["rnn/lstm_cell"].evidence == str(layer.evidence)
