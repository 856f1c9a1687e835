"""Small cases as checkpoints: every cell comes back, and nothing that does not fit is believed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cell_cases import CASES, cell_of, layer_with, states_for

from rnnscope.checkpoints import find_reader, read_checkpoint
from rnnscope.checkpoints.case.layer_entries import KINDS, entry_of, weights_of
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import CheckpointError
from rnnscope.model.cells import CELLS


def test_every_kind_of_cell_but_a_graph_is_held():
    assert {*KINDS} == {*CELLS} - {"graph"}


def written(path, layer, change=lambda document, arrays: None):
    """A case of one layer, with something in it changed."""
    arrays = {f"weights/a/{name}": array for name, array in weights_of(layer.cell).items()}
    document = {"rnnscope_case": 1, "layers": {"a": entry_of(layer)}}
    change(document, arrays)
    recipe = document if isinstance(document, np.ndarray) else np.array(json.dumps(document))
    np.savez(path, recipe=recipe, **arrays)
    return path


@pytest.mark.parametrize("name", CASES)
def test_every_cell_comes_back_as_it_was(name, tmp_path):
    """Weights to the bit, every option; the states are the same."""
    rng = np.random.default_rng(3)
    cell = cell_of(rng, name, 4, 6)
    layer = layer_with(cell)
    path = written(tmp_path / "case.npz", layer)
    assert find_reader(path).name == "case"
    (node,) = read_checkpoint(path).network.nodes
    again = node.recurrent
    assert {key: option.value for key, option in again.cell.options.items()} == {
        key: option.value for key, option in cell.options.items()
    }
    for key, array in weights_of(cell).items():
        np.testing.assert_array_equal(getattr(again.cell.weights, key), array)
        assert getattr(again.cell.weights, key).dtype == array.dtype
    x = rng.normal(size=(2, 3, 4)).astype(cell.dtype)
    initial = states_for(rng, cell, 2)
    one, other = run_layer(layer, x, None, initial), run_layer(again, x, None, initial)
    for state in one.states:
        np.testing.assert_array_equal(one.states[state], other.states[state])


def entry(key, value):
    def change(document, arrays):
        document["layers"]["a"][key] = value

    return change


def option(name, value):
    def change(document, arrays):
        document["layers"]["a"]["options"][name] = value

    return change


def array(name, make):
    def change(document, arrays):
        arrays[f"weights/a/{name}"] = make(arrays.get(f"weights/a/{name}"))

    return change


def without(name):
    def change(document, arrays):
        del arrays[f"weights/a/{name}"]

    return change


def version(document, arrays):
    document["rnnscope_case"] = 2


def no_layers(document, arrays):
    document["layers"] = [1]


WRONG = {
    "kind": (entry("kind", "lstn"), "no usable 'kind'"),
    "kind of a graph": (entry("kind", "graph"), "no usable 'kind'"),
    "padding": (entry("padding", "zero"), "no usable 'padding'"),
    "no class": (entry("source_class", 3), "no usable 'source_class'"),
    "activation": (option("activation", {"value": "tanhh", "origin": "x"}), "no usable 'value'"),
    "number": (option("forget_bias", {"value": "1", "origin": "x"}), "no usable 'value'"),
    "clip": (option("cell_clip", {"value": [1], "origin": "x"}), "no usable 'value'"),
    "switch": (option("coupled", {"value": 1, "origin": "x"}), "no usable 'value'"),
    "no object": (option("forget_bias", 1), "no usable 'forget_bias'"),
    "origin": (option("forget_bias", {"value": 1.0}), "no usable 'origin'"),
    "version": (version, "of another version"),
    "layers": (no_layers, "no usable 'layers'"),
    "no kernel": (without("kernel"), "is not what its recipe says"),
    "no bias": (without("bias"), "is not what its recipe says"),
    "strange": (array("kernels", lambda _: np.ones(3, "f4")), "is not what its recipe says"),
    "axes": (array("kernel", lambda kernel: kernel[0]), "is not what its recipe says"),
    "columns": (array("kernel", lambda kernel: kernel[:, :-1]), "is not what its recipe says"),
    "rows": (array("recurrent_kernel", lambda one: one[:-1]), "is not what its recipe says"),
    "bias": (array("bias", lambda bias: bias[:-1]), "is not what its recipe says"),
    "dtype": (array("bias", lambda bias: bias.astype("f8")), "is not what its recipe says"),
    "integers": (array("bias", lambda bias: bias.astype("i4")), "is not what its recipe says"),
    "peephole": (array("peephole_i", lambda _: np.ones(3, "f4")), "is not what its recipe says"),
    "projection": (array("projection", lambda _: np.ones(6, "f4")), "is not what its recipe says"),
    "none": (array("kernel", lambda kernel: kernel[:, :0]), "is not what its recipe says"),
}
"""What may be wrong in a file that somebody sent, and what is said of it."""


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_refused(what, tmp_path):
    change, words = WRONG[what]
    layer = layer_with(cell_of(np.random.default_rng(3), "lstm", 4, 6))
    path = written(tmp_path / "case.npz", layer, change)
    with pytest.raises(CheckpointError) as told:
        read_checkpoint(path)
    assert words in told.value.what
    assert told.value.hint
    assert "case.npz" in told.value.where


@pytest.mark.parametrize("recipe", [np.ones(3), np.array(["{}"]), np.array("{"), np.array("[]")])
def test_a_recipe_that_is_none(recipe, tmp_path):
    np.savez(tmp_path / "case.npz", recipe=recipe, **{"weights/a/kernel": np.ones((2, 4))})
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "case.npz")
