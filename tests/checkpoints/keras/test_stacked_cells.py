"""Cells of several classes in one RNN layer of a SavedModel: each has its own weights."""

import shutil
from pathlib import Path

import numpy as np

import rnnscope

DATA = Path(__file__).parents[2] / "data/stacked_cells"


def test_cells_of_several_classes_have_their_own_weights(tmp_path):
    with np.load(DATA / "truth.npz") as file:
        truth = dict(file)
    shutil.unpack_archive(DATA / "saved_model.tar.xz", tmp_path)
    with rnnscope.run(tmp_path / "saved_model", truth["x"]) as trace:
        layers = list(trace.layers.values())
        assert len(layers) == 4
        for number, layer in enumerate(layers):
            for state, final in layer.final.items():
                np.testing.assert_allclose(final, truth[f"{state}{number}"], atol=1e-6)
        np.testing.assert_allclose(layers[-1].outputs[...], truth["outputs"], atol=1e-6)
