"""An exported LSTMVis project, by the rules of LSTMVis's own reader.

LSTMVis runs on Python 2; `load_project` does what its documentation and its data handler
(lstmdata/data_handler.py) do with a project: no part of rnnscope reads here.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from rnnscope.errors import InputError, OptionError
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.states.export import ExportRequest, export_states
from rnnscope.states.interface import ReadOptions
from rnnscope.states.plain_yaml import read_yaml
from rnnscope.states.recognise import recognise_one
from rnnscope.states.state_set import StateLayer, StateSet

RNG = np.random.default_rng(2)
LENGTHS = np.array([5, 2, 4])
C = (RNG.normal(size=(3, 5, 4)) * 3).astype(np.float32)
M = np.tanh(RNG.normal(size=(3, 5, 4))).astype(np.float32)


def two_layers(lengths=LENGTHS):
    layers = tuple(
        StateLayer(f"rnn/l{number}", {"c": LoadedArray(C * number), "m": LoadedArray(M / number)})
        for number in (1, 2)
    )
    return StateSet("trace.h5", "trace", layers, lengths)


def load_project(folder):
    """The project as LSTMVis opens it: {path: states after its transform}, words, config."""
    yaml = pytest.importorskip("yaml", reason="LSTMVis reads its configuration with PyYAML")
    config = yaml.safe_load((folder / "lstm.yml").read_text())
    return load_config(folder, config)


def load_config(folder, config):
    files = config["files"]
    opened = {
        key: h5py.File(folder / name) for key, name in files.items()
        if name.endswith((".h5", ".hdf5"))
    }  # fmt: skip
    words = {}
    for key, name in files.items():
        if name.endswith((".dict", ".txt")):
            lines = (folder / name).read_text().splitlines()
            words[key] = {int(number): word for word, number in (line.split() for line in lines)}
    states = {}
    for entry in config["states"]["types"]:
        file = entry.get("file", config["states"]["file"])
        values = opened[file][entry["path"]][...]
        assert values.ndim == 2
        assert entry["type"] in ("state", "output")
        assert entry["layer"] >= 1
        transform = entry.get("transform", "tanh")
        states[entry["path"]] = np.tanh(values) if transform == "tanh" else values
    sequence = config["word_sequence"]
    ids = opened[sequence["file"]][sequence["path"]][...]
    assert ids.ndim == 1
    assert all(len(values) == len(ids) for values in states.values())
    mapped = [words[sequence["dict_file"]][number] for number in ids.tolist()]
    assert config["name"]
    return states, mapped, config


def expected(array):
    return np.concatenate([row[:length] for row, length in zip(array, LENGTHS, strict=True)])


@pytest.mark.parametrize("loader", ["PyYAML", "own"])
def test_a_project_loads_by_the_rules_of_lstmvis(tmp_path, loader):
    target = tmp_path / "project"
    export_states(two_layers(), ExportRequest("lstmvis", target))
    assert sorted(item.name for item in target.iterdir()) == [
        "lstm.yml", "states.h5", "train.h5", "words.dict",
    ]  # fmt: skip
    if loader == "PyYAML":
        states, words, config = load_project(target)
    else:
        config = read_yaml((target / "lstm.yml").read_text())
        states, words, config = load_config(target, config)
    # LSTMVis squashes c, and shows m as it is.
    np.testing.assert_array_equal(states["state1"], np.tanh(expected(C)))
    np.testing.assert_array_equal(states["output2"], expected(M / 2))
    assert words == [f"t{step}" for length in LENGTHS for step in range(length)]
    assert config["description"] == "layer 1 is rnn/l1; layer 2 is rnn/l2"


def test_ids_and_words(tmp_path):
    ids = RNG.integers(0, 3, size=(3, 5))
    np.save(tmp_path / "ids.npy", ids)
    (tmp_path / "words.dict").write_text("the 0\ncat 1\n")
    request = ExportRequest(
        "lstmvis", tmp_path / "p", ids=str(tmp_path / "ids.npy"), words=tmp_path / "words.dict"
    )
    export_states(two_layers(), request)
    _, words, _ = load_config(tmp_path / "p", read_yaml((tmp_path / "p/lstm.yml").read_text()))
    names = {0: "the", 1: "cat", 2: "id2"}
    assert words == [names[int(n)] for n in expected(ids)]


def test_ids_that_do_not_fit(tmp_path):
    np.save(tmp_path / "ids.npy", np.zeros((2, 5), int))
    request = ExportRequest("lstmvis", tmp_path / "p", ids=str(tmp_path / "ids.npy"))
    with pytest.raises(InputError, match="ids do not fit"):
        export_states(two_layers(), request)
    assert not (tmp_path / "p").exists()


def test_a_mask_with_gaps_cannot_be_held(tmp_path):
    mask = np.array([[1, 0, 1, 1, 1]] * 3, bool)
    states = two_layers(None)
    gaps = StateSet(states.name, states.format, states.layers, None, mask)
    with pytest.raises(InputError, match="gaps"):
        export_states(gaps, ExportRequest("lstmvis", tmp_path / "p"))


def test_the_example_of_lstmvis_readme_is_understood(tmp_path):
    """Flow mappings with comments and tabs inside brackets, as its documentation writes them."""
    (tmp_path / "lstm.yml").write_text(
        "name: children books  # project name\n"
        "description: texts from the Gutenberg project # little description\n"
        "\n"
        "files: # assign files to reference name\n"
        "  states: cbt_epoch10.h5 # HDF5 files have to end with .h5 or .hdf5 !!!\n"
        "  words: words.dict\n"
        "states: # section\n"
        "  file: states\n"
        "  types: [\n"
        "  \t{type: state, layer: 1, path: states1}, # type={state, output}\n"
        "\t{type: output, layer: 2, path: output2, transform: none}\n"
        "  ]\n"
    )
    with h5py.File(tmp_path / "cbt_epoch10.h5", "w") as file:
        file["states1"], file["output2"] = C[0], M[0]
    found = recognise_one(str(tmp_path), ReadOptions())
    layers = {layer.name: layer.arrays for layer in found.states.layers}
    np.testing.assert_array_equal(layers["1"]["c"].read()[0], C[0])
    np.testing.assert_array_equal(layers["2"]["m"].read()[0], M[0])
    assert "one sequence" in found.reason


@pytest.mark.parametrize(
    "text",
    ["", "[1, 2", "states: *alias", "states: {types: [{type: state}]}", "files: {s: ../x.h5}",
     "files: {s: x.h5}\nstates: {file: s, types: [{type: state, layer: 1, path: nothing}]}"],
)  # fmt: skip
def test_configurations_that_cannot_be_read(tmp_path, text):
    (tmp_path / "lstm.yml").write_text(text)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["states1"] = C[0]
    with pytest.raises(InputError):
        recognise_one(str(tmp_path), ReadOptions())


def test_layers_of_other_steps_are_refused(tmp_path):
    a = StateLayer("a", {"c": LoadedArray(C), "m": LoadedArray(M)})
    b = StateLayer("b", {"c": LoadedArray(C[:, :3]), "m": LoadedArray(M[:, :3])}, counted=False)
    with pytest.raises(OptionError, match="same steps"):
        export_states(StateSet("s", "trace", (a, b)), ExportRequest("lstmvis", tmp_path / "p"))
