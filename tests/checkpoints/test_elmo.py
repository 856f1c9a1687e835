"""AllenNLP's ELMo weights: held to the equations of its cell, written out here."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from checkpoint_truth import run_network

from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import CheckpointError

WIDTH, UNITS = 4, 8
RNG = np.random.default_rng(6)
X = RNG.normal(size=(3, 7, WIDTH)).astype("f4")
NAME = "RNN_{}/RNN/MultiRNNCell/Cell{}/LSTMCell"
ARRAYS = {
    (way, level): {
        "W_0": RNG.normal(size=(2 * WIDTH, 4 * UNITS)).astype("f4"),
        "B": RNG.normal(size=4 * UNITS).astype("f4"),
        "W_P_0": RNG.normal(size=(UNITS, WIDTH)).astype("f4"),
    }
    for way in (0, 1)
    for level in (0, 1)
}


def save(path, options=None):
    with h5py.File(path, "w") as file:
        for (way, level), arrays in ARRAYS.items():
            for role, values in arrays.items():
                file[f"{NAME.format(way, level)}/{role}"] = values
        file["char_embed"] = np.zeros((261, 16), "f4")
        file["CNN_proj/W_proj"] = np.zeros((6, WIDTH), "f4")
    if options is not None:
        options_file = path.with_name("elmo_options.json")
        options_file.write_text(json.dumps({"lstm": options}))
    return path


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def layer(arrays, x, cell_clip, proj_clip):
    """One layer, step by step; TensorFlow keeps the gates as i, g, f, o, and adds 1 to f."""
    c, m = np.zeros((3, UNITS)), np.zeros((3, WIDTH))
    made = []
    for step in range(x.shape[1]):
        z = np.concatenate([x[:, step], m], axis=1) @ arrays["W_0"].astype("f8") + arrays["B"]
        i, g, f, o = np.split(z, 4, axis=1)
        c = sigmoid(i) * np.tanh(g) + sigmoid(f + 1) * c
        c = np.clip(c, -cell_clip, cell_clip)
        m = (sigmoid(o) * np.tanh(c)) @ arrays["W_P_0"]
        m = np.clip(m, -proj_clip, proj_clip)
        made.append(m)
    return np.stack(made, axis=1)


def stack(way, cell_clip, proj_clip, skip):
    x = X[:, ::-1] if way else X
    first = layer(ARRAYS[way, 0], x, cell_clip, proj_clip)
    second = layer(ARRAYS[way, 1], first, cell_clip, proj_clip)
    outputs = second + first if skip else second
    return outputs[:, ::-1] if way else outputs


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize(
    ("options", "cell_clip", "proj_clip", "skip"),
    [
        (None, 3, 3, True),
        ({"cell_clip": 1.5, "proj_clip": 0.5, "use_skip_connections": False}, 1.5, 0.5, False),
        ({"use_skip_connections": True}, np.inf, np.inf, True),
    ],
)
def test_both_stacks(tmp_path, way, options, cell_clip, proj_clip, skip):
    path = save(tmp_path / "elmo_weights.hdf5", options)
    checkpoint = read_checkpoint(path)
    made = run_network(checkpoint.network, X)
    wanted = stack(way, cell_clip, proj_clip, skip)
    np.testing.assert_allclose(made[NAME.format(way, 1)], wanted, atol=5e-5)
    node = checkpoint.network.node(NAME.format(way, 1)).recurrent
    origin = "guess" if options is None else "config"
    assert node.cell.options.cell_clip.origin == origin
    assert len(checkpoint.files) == 1 + (options is not None)
    assert {entry.reason for entry in checkpoint.left_out} == {"character encoder"}


def test_damaged_options_are_named(tmp_path):
    path = save(tmp_path / "elmo_weights.hdf5", {"cell_clip": "much"})
    with pytest.raises(CheckpointError, match=r"elmo_options\.json"):
        read_checkpoint(path)
