"""Ids of a model that begins with an embedding, from the shell."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

IDS = np.array([[3, 1, 4, 1, 5], [2, 7, 1, 0, 0]])
RNG = np.random.default_rng(3)


def draw(*shape):
    return RNG.uniform(-0.5, 0.5, shape).astype("f4")


@pytest.fixture
def model(tmp_path):
    """A ``.weights.h5`` as Keras writes them: an embedding, and an LSTM that reads it."""
    path = tmp_path / "model.weights.h5"
    arrays = {"embedding": [draw(9, 3)], "lstm/cell": [draw(3, 16), draw(4, 16), draw(16)]}
    with h5py.File(path, "w") as file:
        file.create_group("vars").attrs["name"] = "model"
        for place, variables in arrays.items():
            for number, array in enumerate(variables):
                file[f"layers/{place}/vars/{number}"] = array
    return path


def run(rnnscope, tmp_path, model, *arguments):
    trace = tmp_path / "trace.h5"
    result = rnnscope("run", model, *arguments, "-o", trace, "--force")
    assert result.code == 0, result.stderr
    with h5py.File(trace) as file:
        return file["lstm/m"][...], " ".join(result.stdout.split())


@pytest.mark.parametrize("ids", [IDS, IDS[0]], ids=["batch", "one sequence"])
def test_integers_are_ids_where_the_model_begins_with_an_embedding(tmp_path, rnnscope, model, ids):
    np.save(tmp_path / "words.npy", ids)
    found, said = run(rnnscope, tmp_path, model, tmp_path / "words.npy", "--model-input")
    told, silent = run(rnnscope, tmp_path, model, tmp_path / "words.npy", "--ids")
    assert found.shape == (*np.atleast_2d(ids).shape, 4)
    np.testing.assert_array_equal(found, told)
    note = f"The integers of shape {ids.shape} are ids: the model begins with an embedding."
    assert note in said
    assert note not in silent


def test_who_says_that_they_are_none_is_believed(tmp_path, rnnscope, model):
    np.save(tmp_path / "words.npy", IDS)
    result = rnnscope(
        "run", model, tmp_path / "words.npy", "-o", tmp_path / "t.h5", "--model-input", "--no-ids"
    )
    assert result.code == 2


def test_integers_that_go_to_the_layer_itself_are_features(tmp_path, rnnscope, model):
    np.save(tmp_path / "x.npy", IDS[:, :3])
    found, _ = run(rnnscope, tmp_path, model, tmp_path / "x.npy")
    assert found.shape == (1, 2, 4)


def test_an_input_that_fits_a_layer_further_on_is_told_how_to_get_there(tmp_path, rnnscope):
    path = tmp_path / "stack.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("vars").attrs["name"] = "model"
        for place, features, units in (("lstm", 3, 4), ("lstm_1", 4, 2)):
            for number, array in enumerate(
                [draw(features, 4 * units), draw(units, 4 * units), draw(4 * units)]
            ):
                file[f"layers/{place}/cell/vars/{number}"] = array
    np.save(tmp_path / "x.npy", draw(2, 5, 4))
    command = ["run", path, tmp_path / "x.npy", "-o", tmp_path / "t.h5"]
    result = rnnscope(*command)
    assert result.code == 2
    assert "--feed 'lstm_1'" in result.stderr
    assert rnnscope(*command, "--feed", "lstm_1").code == 0
