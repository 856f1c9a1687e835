"""Files of Keras 2, kept with what their Keras returned: `tests/data/make_keras.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.model.layers import Unsupported

DATA = Path(__file__).parents[2] / "data" / "keras"
PLACES = {"bi": "bi_layer/outputs"}


@pytest.mark.parametrize(
    "name",
    ["constants", "constants_both_ways", "unequal_directions", "peephole", "stack_states"],
)
def test_a_model_of_keras_2_gives_what_keras_2_returned(rnnscope, read_trace, tmp_path, name):
    truth = np.load(DATA / f"{name}_truth.npz")
    np.save(tmp_path / "x.npy", truth["x"])
    result = rnnscope("run", DATA / f"{name}.h5", tmp_path / "x.npy", "-o", tmp_path / "t.h5",
                      "--quiet")  # fmt: skip
    assert (result.code, result.stderr) == (0, "")
    trace = read_trace(tmp_path / "t.h5")
    for layer in set(truth) - {"x"}:
        places = (PLACES.get(layer, ""), f"{layer}/outputs", f"{layer}/m", f"{layer}_layer/m")
        place = next(place for place in places if place in trace)
        np.testing.assert_allclose(trace[place], truth[layer], rtol=0, atol=2e-6, err_msg=layer)


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


def with_version(folder, version):
    """The stack of cells as if another Keras had written it."""
    path = folder / "stack.h5"
    shutil.copy(DATA / "stack_states.h5", path)
    with h5py.File(path, "r+") as file:
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"] = np.bytes_(version)
    return read_checkpoint(path)


@pytest.mark.parametrize(
    ("version", "first"),
    [("2.1.6", "rec"), ("2.2.2", "rec"), ("2.2.3", "rec/cell_0"), ("2.2.4-tf", "rec/cell_0")],
)
def test_the_version_tells_in_which_order_a_stack_has_its_states(tmp_path, version, first):
    """Two cells that are given states crosswise get them so in either order; a layer does not."""
    network = with_version(tmp_path, version).network
    assert network.node("behind").starts_from == (first,)
    assert network.node("crossed").starts_from == ("rec/cell_0",)
    assert network.node("crossed/cell_0").starts_from == ("rec",)


@pytest.mark.parametrize("version", ["2.1.6-tf", ""])
def test_states_of_a_stack_are_refused_where_their_order_is_not_told(tmp_path, version):
    checkpoint = with_version(tmp_path, version)
    reasons = {entry.name: entry.reason for entry in checkpoint.left_out}
    order = "states of a stack of cells, whose order its version of Keras does not tell"
    assert reasons["rec"] == f"RNN: returns {order}"
    assert reasons["crossed"] == f"RNN: is given {order}"
    assert isinstance(checkpoint.network.node("rec").layer, Unsupported)
    assert isinstance(checkpoint.network.node("crossed").layer, Unsupported)
