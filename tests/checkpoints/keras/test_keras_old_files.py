"""Files of Keras 2, kept with what their Keras returned: `tests/data/make_keras.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / "data" / "keras"
PLACES = {"bi": "bi_layer/outputs"}


@pytest.mark.parametrize(
    "name", ["constants", "constants_both_ways", "unequal_directions", "peephole"]
)
def test_a_model_of_keras_2_gives_what_keras_2_returned(rnnscope, read_trace, tmp_path, name):
    truth = np.load(DATA / f"{name}_truth.npz")
    np.save(tmp_path / "x.npy", truth["x"])
    result = rnnscope("run", DATA / f"{name}.h5", tmp_path / "x.npy", "-o", tmp_path / "t.h5",
                      "--quiet")  # fmt: skip
    assert (result.code, result.stderr) == (0, "")
    trace = read_trace(tmp_path / "t.h5")
    for layer in set(truth) - {"x"}:
        place = PLACES.get(layer, f"{layer}/outputs")
        made = trace[place] if place in trace else trace[f"{layer}/m"]
        np.testing.assert_allclose(made, truth[layer], rtol=0, atol=2e-6, err_msg=layer)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("peephole", "it has 'input_gate_peephole_weights', which no cell of Keras has"),
        ("custom_cell", "its cell is named 'minimal_rnn_cell', which is none of Keras' own"),
        ("custom_cell.weights.h5", "no name tells the class of its cell"),
        ("custom_cell_old.h5", "its cell is named 'minimal_rnn_cell', which is none of Keras' own"),
        ("custom_cell.h5", "has a cell of class MinimalRNNCell, which is not computed"),
    ],
)
def test_a_cell_that_is_none_of_keras_own_is_refused_by_name(rnnscope, tmp_path, file, said):
    """Its weights have the shapes of a stock cell, and would give numbers that are wrong."""
    np.save(tmp_path / "x.npy", np.ones((1, 2, 4), np.float32))
    result = rnnscope("run", DATA / file, tmp_path / "x.npy", "-o", tmp_path / "t.h5")
    assert result.code == 2
    assert said in result.stderr
    assert result.stderr.count(said) == 1
    assert not (tmp_path / "t.h5").exists()
