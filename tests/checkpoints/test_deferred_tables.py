"""Tables of embeddings stay in their files until a row is asked for."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import CheckpointError, InputError
from rnnscope.model.layers import Embedding
from rnnscope.model.layers.deferred_table import DeferredTable
from rnnscope.model.signal import Signal


def test_it_stands_for_an_array_and_is_read_once():
    read = []
    values = np.arange(12, dtype=np.float32).reshape(4, 3)

    def load():
        read.append(True)
        return values

    layer = Embedding(DeferredTable((4, 3), load), mask_zero=True)
    with pytest.raises(InputError, match="no row"):
        layer(Signal(np.array([[4]])))
    assert not read
    found = layer(Signal(np.array([[0, 3]])))
    assert found.values.tolist() == [[[0, 1, 2], [9, 10, 11]]]
    assert found.mask.tolist() == [[False, True]]
    assert np.asarray(layer.table, np.float64).dtype == np.float64
    assert np.asarray(layer.table) is values
    assert read == [True]


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("ending", ["h5", "keras", "weights.h5"])
def test_a_keras_file_keeps_it_and_damage_is_told_when_it_is_read(keras, tmp_path, ending):
    path = tmp_path / f"m.{ending}"
    model = keras.Sequential(
        [keras.Input((None,)), keras.layers.Embedding(50, 3), keras.layers.LSTM(2)]
    )
    (model.save_weights if ending == "weights.h5" else model.save)(path)
    table = model.layers[0].get_weights()[0]
    node = next(
        node
        for node in rnnscope.open_model(path).network.nodes
        if isinstance(node.layer, Embedding)
    )
    stored = node.layer.table
    assert isinstance(stored, DeferredTable)
    assert stored.shape == (50, 3)
    if ending == "keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", b"{}")
        with pytest.raises(CheckpointError):
            stored[0]
        model.save(path, overwrite=True)
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CheckpointError, match="truncated or damaged"):
            stored[0]
        path.write_bytes(whole)
    assert np.array_equal(stored[[7, 0]], table[[7, 0]])
