"""What Keras 3 saves of a model that is a class of its own, against that model's own outputs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import CheckpointError

IDS = np.random.default_rng(5).integers(0, 9, (3, 6)).astype(np.int32)


@pytest.fixture(scope="module")
def model(tf: Any) -> Any:
    """Layers whose attributes, by their names, stand in another order than they are called in."""
    keras = pytest.importorskip("keras")
    layers = keras.layers

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.words = layers.Embedding(9, 4)
            self.both = layers.Bidirectional(layers.LSTM(5, return_sequences=True))
            self.top = layers.GRU(3, return_sequences=True)

        def call(self, ids: Any) -> Any:
            return self.top(self.both(self.words(ids)))

    made = Model()
    made(IDS)
    return made


def test_an_embedding_stands_before_attributes_that_sort_before_it(
    model: Any, tmp_path: Path
) -> None:
    model.save_weights(tmp_path / "model.weights.h5")
    with rnnscope.run(tmp_path / "model.weights.h5", IDS, ids=True) as trace:
        top = next(one for one in trace.layers.values() if one.m.shape[-1] == 3)
        np.testing.assert_allclose(top.outputs[...], np.asarray(model(IDS)), atol=5e-6)


def test_a_whole_file_says_where_its_weights_are(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    with pytest.raises(CheckpointError, match=r"take model\.weights\.h5 out of the \.keras file"):
        rnnscope.open_model(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extract("model.weights.h5", tmp_path)
    opened = rnnscope.open_model(tmp_path / "model.weights.h5")
    assert [node.recurrent.cell.kind for node in opened.network.recurrent if node.recurrent] == [
        "lstm",
        "lstm",
        "gru",
    ]
