"""What a folder of vectors holds: one truth in every file, the same bytes on every machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import InputError, OptionError, TraceError, UnsupportedCellError
from rnnscope.files.containers.safetensors import open_tensor, read_header
from rnnscope.vectors.folder.c_header import c_string
from rnnscope.vectors.folder.document import numbers

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
MASKED = SAMPLE / "keras2_masked" / "model.h5"


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masked") / "v"
    report = rnnscope.write_vectors(MASKED, folder, weights=True)
    return folder, json.loads((folder / "vectors.json").read_text("utf-8")), report


def test_the_document_has_the_keys_that_are_promised(masked):
    _, document, report = masked
    assert document["tolerance"] == report.tolerance > 0
    for case in document["cases"]:
        assert {"name", "x", "lengths", "initial", "expected"} <= case.keys()
        assert case["initial"].keys() == {"c", "m"}
        assert case["expected"].keys() == {"c", "m", "i", "f", "g", "o", "outputs"}
        sequences, timesteps, inputs = np.shape(case["x"])
        assert inputs == 4
        assert np.shape(case["lengths"]) == (sequences,)
        for array in case["expected"].values():
            assert np.shape(array)[:2] == (sequences, timesteps)
            assert np.isfinite(array).all()
        assert case["limits"].keys() == {*case["expected"], "final/c", "final/m"}
        for name, array in case["expected"].items():
            largest = np.abs(array).max()
            assert case["limits"][name] == pytest.approx(document["tolerance"] * largest, rel=1e-7)
    assert len(document["cases"][0]["x"]) == 2  # the plain one
    assert not np.any(document["cases"][0]["initial"]["c"])
    assert np.shape(document["cases"][1]["x"])[1] == 20
    assert min(document["cases"][1]["lengths"]) < 20


def test_expected_numbers_are_those_that_keras_computes():
    """The same equations over an input with a known truth: what Keras 2 computed."""
    from rnnscope.explaining.compared.subject import subject_of
    from rnnscope.explaining.computing.simulated import results_of
    from rnnscope.record.planning import plan_recipe
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.vectors.exact.run import ExactRun

    truth = np.load(MASKED.with_name("truth.npz"))
    with plan_recipe(Recipe.make(MASKED, MASKED.with_name("inputs.npz"))) as planned:
        setup = subject_of(planned).setup
    recurrent = tuple(node for node in setup.nodes if node.recurrent)
    setup = replace(setup, nodes=recurrent)  # without the dense layer behind it
    exact = ExactRun(setup).results(setup)
    layer = next(iter(setup.layers))
    outputs = next(truth[name] for name in truth if "outputs" in name)
    np.testing.assert_allclose(exact[layer]["outputs"], outputs, atol=2e-6)
    engine = results_of(setup)[layer]
    for key, array in exact[layer].items():
        np.testing.assert_allclose(array, engine[key], atol=1e-14)


@pytest.mark.parametrize("model", ["tf1, everything", "torch, gru", "torch, both directions"])
def test_every_file_holds_the_same_numbers(written, model):
    folder, document = written(model, weights=True)
    parts = {layer["name"]: layer["part"] for layer in document["layers"]}
    stored = np.load(folder / "vectors.npz")
    header = read_header(folder / "vectors.safetensors")
    tensors = {one.name: open_tensor(folder / "vectors.safetensors", one).read()
               for one in header.tensors}  # fmt: skip
    assert tensors.keys() == {*stored}
    seen = {"tolerance"}
    for layer in document["layers"]:
        seen |= {f"weights/{layer['part']}/{name}" for name in layer["weights"]}
    for case in document["cases"]:
        named = {"x": case["x"], "lengths": case["lengths"]}
        named |= {f"initial/{name}": array for name, array in case["initial"].items()}
        groups = {"": case}
        groups |= {f"layers/{parts[name]}/": one for name, one in case.get("layers", {}).items()}
        for place, group in groups.items():
            for kind in ("expected", "final"):
                named |= {f"{place}{kind}/{name}": a for name, a in group.get(kind, {}).items()}
        for name, array in named.items():
            key = f"{case['name']}/{name}"
            seen.add(key)
            dtype = np.int64 if name == "lengths" else np.dtype(case["dtype"])
            assert stored[key].dtype == dtype
            # As its dtype reads the text, bit for bit.
            np.testing.assert_array_equal(np.array(array, dtype), stored[key])
            np.testing.assert_array_equal(tensors[key], stored[key])
    assert seen == {*stored}


def test_numbers_are_the_shortest_that_give_the_same_bits():
    drawn = np.random.default_rng(0).normal(size=300).astype(np.float32)
    drawn = np.concatenate([drawn, np.float32([1e-38, 3e38, 16777216, 0.1, 1e-7])])
    shown = numbers(drawn)
    assert (np.array(shown, np.float32) == drawn).all()
    assert max(len(repr(one)) for one in shown) <= 15
    assert numbers(drawn.astype(np.float64)) == drawn.astype(np.float64).tolist()


@pytest.mark.parametrize(
    "text", ["plain", 'with "quotes" and \\', "??=trigraph", "höher\n1", "\x07" + "7"]
)  # fmt: skip
def test_strings_of_c_are_ascii_and_give_the_text_again(text):
    written = c_string(text)
    assert written.isascii()
    assert "??" not in written
    inner = written[1:-1]
    octal = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), inner)
    plain = re.sub(r'\\(["\\?])', r"\1", octal)
    assert plain.encode("latin-1").decode("utf-8") == text


@pytest.mark.slow
@pytest.mark.parametrize("model", ["keras_stack/model.h5", "lstm_float64/model.ckpt"])
def test_the_same_bytes_on_another_machine(model, tmp_path):
    """Other products of BLAS, other loops of numpy, one thread: as on another processor."""
    rnnscope.write_vectors(SAMPLE / model, tmp_path / "a")
    code = "import sys, rnnscope; rnnscope.write_vectors(sys.argv[1], sys.argv[2])"
    features = "X86_V4 AVX512_SKX AVX512_ICL AVX512_SPR X86_V3 AVX2 FMA3"
    other = {**os.environ, "OPENBLAS_CORETYPE": "Sandybridge", "OMP_NUM_THREADS": "1",
             "NPY_DISABLE_CPU_FEATURES": features, "PYTHONHASHSEED": "7"}  # fmt: skip
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, SAMPLE / model, tmp_path / "b"],
        check=True, env=other, cwd=tmp_path,
    )  # fmt: skip
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert len(names) == 6
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_another_seed_gives_other_inputs(masked, tmp_path):
    _, document, _ = masked
    rnnscope.write_vectors(MASKED, tmp_path / "v", seed=1)
    other = json.loads((tmp_path / "v/vectors.json").read_text())
    assert other["cases"][0]["x"] != document["cases"][0]["x"]
    assert "weights" not in other["layers"][0]


def test_a_folder_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "v"
    rnnscope.write_vectors(MASKED, target, steps=6)
    before = {file.name: file.read_bytes() for file in target.iterdir()}
    with pytest.raises(TraceError, match="exists already"):
        rnnscope.write_vectors(MASKED, target)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnscope.vectors.folder.writing.write_safetensors", full)
    for path in (target, tmp_path / "new"):
        with pytest.raises(TraceError, match="cannot be written"):
            rnnscope.write_vectors(MASKED, path, force=True)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["v"]
    assert {file.name: file.read_bytes() for file in target.iterdir()} == before
    rnnscope.write_vectors(MASKED, target, force=True, steps=8, header=False)
    assert sorted(file.name for file in target.iterdir()) == [
        "runner.mjs", "vectors.json", "vectors.npz", "vectors.safetensors",
    ]  # fmt: skip


def test_other_files_are_never_replaced(tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v/my_rnn.c").write_text("mine")
    with pytest.raises(TraceError, match=r"(?s)something else.*my_rnn\.c"):
        rnnscope.write_vectors(MASKED, tmp_path / "v", force=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TraceError, match="would replace a file"):
        rnnscope.write_vectors(MASKED, tmp_path / "file", force=True)
    with pytest.raises(TraceError, match="does not exist"):
        rnnscope.write_vectors(MASKED, tmp_path / "no/v")
    assert (tmp_path / "v/my_rnn.c").read_text() == "mine"


def test_what_is_too_large_is_refused_or_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnscope.vectors.folder.writing.MOST_HEADER_BYTES", 1000)
    report = rnnscope.write_vectors(MASKED, tmp_path / "v", steps=6)
    assert "vectors.h" not in {file.name for file in report.files}
    assert report.notes == (
        "no vectors.h and runner.c: they would have about 0 MB of constants (header writes them)",
    )
    monkeypatch.setattr("rnnscope.vectors.folder.writing.MOST_BYTES", 1000)
    with pytest.raises(OptionError, match="would be too large"):
        rnnscope.write_vectors(MASKED, tmp_path / "w")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("options", [{"steps": 3}, {"sequences": 1}, {"seed": -1}, {"steps": 999}])
def test_sizes_that_tell_nothing_are_refused(options, tmp_path):
    with pytest.raises(OptionError):
        rnnscope.write_vectors(MASKED, tmp_path / "v", **options)


def test_a_model_between_whose_layers_more_stands_has_no_case_of_the_whole(tmp_path):
    report = rnnscope.write_vectors(SAMPLE / "keras_stack/model.h5", tmp_path / "v", steps=6)
    assert {case.layer for case in report.cases} == {"lstm", "lstm_1", "lstm_2", ""}
    only = rnnscope.write_vectors(
        SAMPLE / "keras_stack/model.h5", tmp_path / "w", steps=6, layers=["lstm_1"]
    )
    assert "lstm_1" in {case.layer for case in only.cases}


def test_a_file_without_layers_that_can_have_vectors_is_refused_by_name(tmp_path):
    np.savez(
        tmp_path / "m.npz",
        **{"rnn/coupled_input_forget_gate_lstm_cell/kernel": np.zeros((7, 12), np.float32),
           "rnn/coupled_input_forget_gate_lstm_cell/bias": np.zeros(12, np.float32)},
    )  # fmt: skip
    with pytest.raises((UnsupportedCellError, InputError, rnnscope.RnnscopeError)):
        rnnscope.write_vectors(tmp_path / "m.npz", tmp_path / "v")
    assert not (tmp_path / "v").exists()
