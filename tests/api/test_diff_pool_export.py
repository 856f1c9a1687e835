"""Comparing, pooling and exporting from Python: what the commands do, on files and on arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import InputError, OptionError, TraceError

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
M = SAMPLES / "lstm_float64" / "model.ckpt"
INPUTS = SAMPLES / "lstm_float64" / "inputs.npz"
STACK = SAMPLES / "keras_stack" / "model.h5"
TRUTH = SAMPLES / "lstm_float64" / "truth.npz"
LAYER = "rnn/lstm_cell"
X = np.load(INPUTS)["x"]


@pytest.fixture
def in_memory():
    with rnnscope.run(M, X, lengths=[10, 6], gates=True) as trace:
        yield trace


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "trace.h5"
    rnnscope.run(M, X, lengths=[10, 6], gates=True, output=path).close()
    return path


def shown(text):
    """What a command printed, without its own name in the last line."""
    return text.rstrip("\n")


# diff


def test_traces_files_and_arrays_can_be_compared_with_each_other(in_memory, stored):
    layer = in_memory.layers[LAYER]
    arrays = {"c": np.asarray(layer.c), "m": np.asarray(layer.m), "lengths": [10, 6]}
    listed = [arrays["m"], arrays["c"]]  # as Keras has them
    for other in (in_memory, stored, str(stored), f"{stored}::{LAYER}/c", TRUTH, arrays, listed):
        found = rnnscope.diff(in_memory, other)
        assert found.verdict == "same", str(found)
        assert sum(array.compared for one in found.layers for array in one.arrays)
    # An open trace is read, and stays open.
    assert layer.c[0, 0].shape == (64,)


def test_what_torch_returns_can_be_compared_as_it_is():
    rng = np.random.default_rng(0)
    m = np.tanh(rng.normal(size=(3, 5, 4)))
    h_n, c_n = m[:, -1][None], m[:, -1][None] * 3
    output, state = m.swapaxes(0, 1), (h_n, c_n)
    held = {"lstm/m": m, "lstm/outputs": m, "lstm/final/c": c_n[0]}
    found = rnnscope.diff(held, (output, state))
    assert found.b.format == "torch"
    assert {array.name for array in found.layers[0].arrays} >= {"outputs", "final/c", "final/m"}
    assert found.verdict == "same"
    assert rnnscope.diff(held, (output + 1e-3, (h_n + 1e-3, c_n))).verdict == "differ"


def test_three_arrays_without_names_are_no_torch_unless_the_numbers_say_so():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="no states that rnnscope knows"):
        rnnscope.diff({"c": np.zeros((3, 5, 4))}, list(rng.normal(size=(3, 3, 5, 4))))


def test_gates_of_other_cells_have_names_too():
    rng = np.random.default_rng(0)
    held = {"m": rng.normal(size=(2, 3, 4)), "gates/r": rng.uniform(size=(2, 3, 4))}
    found = rnnscope.diff(held, {**held, "gates/r": held["gates/r"] + 0.5})
    assert (found.verdict, found.complete) == ("differ", True)


def test_diff_prints_what_the_command_prints(stored, rnnscope_command):
    printed = rnnscope_command("diff", stored, TRUTH, "--exact", "--fail-fast")
    found = rnnscope.diff(stored, TRUTH, exact=True, fail_fast=True)
    assert str(found) == shown(printed)
    assert found.render("markdown").startswith("### rnnscope diff: differ")
    assert found.to_dict()["verdict"] == "differ"


def test_checkpoints_are_compared_by_weights_or_by_what_they_compute():
    model = rnnscope.open_model(M)
    assert rnnscope.diff(M, model, weights=True).kind == "weights"
    assert rnnscope.diff(M, model, weights=True).verdict == "same"
    found = rnnscope.diff(M, M, input=X, lengths=[10, 6])
    assert (found.verdict, found.kind) == ("same", "states")
    one = rnnscope.diff(M, M, input=X, lengths=[10, 6]).layers[0].arrays[0].compared
    assert one == 16 * 64


@pytest.mark.parametrize(
    ("options", "words", "hint"),
    [
        ({"atoll": 1}, "no option of a comparison 'atoll'", "Did you mean 'atol'?"),
        ({"lengths": [1]}, "options of a run go with input", None),
        ({"weights": True, "input": X}, "two comparisons", None),
        ({"a_format": "kears"}, "a_format does not understand", "Did you mean 'keras'?"),
        ({"b_format": 3}, "b_format does not understand", None),
        ({"num_units": [0]}, "num_units does not understand", None),
        ({"num_units": "4,x"}, "num_units does not understand", None),
        ({"time_major_a": "yes"}, "time_major_a does not understand", None),
        ({"padding": 1}, "padding does not understand", None),
        ({"exact": True, "ulp": 3}, "exclude each other", None),
        ({"exact": True, "atol": 1}, "exclude each other", None),
        ({"ulp": -1}, "ulp does not understand", None),
        ({"atol": "x"}, "atol does not understand", None),
        ({"rtol": {"c": -1}}, "rtol does not understand", None),
        ({"atol": {"zz": 1}}, "array that is not there", None),
        ({"atol": ["c:1", "mm:1"]}, "array that is not there", "did you mean m?"),
    ],
)
def test_mistakes_in_a_comparison_are_named(options, words, hint):
    with pytest.raises(OptionError, match=words) as caught:
        rnnscope.diff(TRUTH, TRUTH, **options)
    assert caught.value.hint == hint


@pytest.mark.parametrize("value", [3, None, {}, [], {"c": "words"}, object()])
def test_what_holds_no_states_is_refused(value):
    with pytest.raises(OptionError, match="States cannot be read"):
        rnnscope.diff({"c": np.zeros((1, 2, 3))}, value)


# pool


def test_pooled_arrays_are_at_hand(in_memory, stored):
    c, valid = np.asarray(in_memory.layers[LAYER].c), in_memory.valid
    mean = np.stack([row[steps].mean(axis=0) for row, steps in zip(c, valid, strict=True)])
    for trace in (in_memory, stored):
        pooled = rnnscope.pool(trace, "mean", state="c")
        np.testing.assert_allclose(pooled[LAYER], mean, rtol=1e-12)
        assert list(pooled) == [f"{LAYER}/c/mean"]
        assert pooled.report.written == "in memory"
    several = rnnscope.pool(in_memory, ["first", "last"], state=["c", "m"])
    assert len(several) == 4
    np.testing.assert_array_equal(several[f"{LAYER}/c/last"][1], c[1, 5])
    with pytest.raises(KeyError):
        several[LAYER]  # it would be a guess which one is meant
    assert len(rnnscope.pool(in_memory, "all")) == 6


def test_nothing_is_written_unless_it_is_asked_for(stored, tmp_path):
    before = stored.read_bytes()
    rnnscope.pool(stored)
    assert stored.read_bytes() == before
    pooled = rnnscope.pool(stored, output=tmp_path / "p.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), pooled[LAYER])
    pooled = rnnscope.pool(stored, store=True)
    assert pooled.report.pooled[0].array == f"{stored}::/pooled/{LAYER}/m/mean"
    assert stored.read_bytes() != before
    with pytest.raises(TraceError, match="holds these pooled arrays already"):
        rnnscope.pool(stored, store=True)
    rnnscope.pool(stored, store=True, force=True)


def test_pool_prints_what_the_command_prints(stored, rnnscope_command, monkeypatch):
    monkeypatch.chdir(stored.parent)
    printed = rnnscope_command("pool", stored, "--method", "last", "--naive", "-o", "p.npz")
    pooled = rnnscope.pool(stored, "last", naive=True, output="p.npz", force=True)
    assert str(pooled) == shown(printed)
    assert pooled.to_dict()["report"] == "pool"
    assert '"report": "pool"' in pooled.render("json")


@pytest.mark.parametrize(
    ("arguments", "options", "words", "hint"),
    [
        (["meen"], {}, "methods does not understand", "Did you mean 'mean'?"),
        ([], {"state": "outptus"}, "states does not understand", "Did you mean 'outputs'?"),
        ([], {"direction": "concet"}, "direction does not understand", "Did you mean 'concat'?"),
        ([], {"edge": "finel"}, "edge does not understand", "Did you mean 'final'?"),
        ([], {"store": True}, "in memory has no file", "name a file with output"),
        ([], {"direction": "concat"}, "None of the layers is bidirectional", None),
    ],
)
def test_mistakes_in_pooling_are_named(in_memory, arguments, options, words, hint):
    with pytest.raises(OptionError, match=words) as caught:
        rnnscope.pool(in_memory, *arguments, **options)
    if hint:
        assert caught.value.hint == hint


# export


def test_an_open_trace_is_exported(in_memory, stored, tmp_path):
    for name, trace in (("a.npz", in_memory), ("b.npz", stored)):
        done = rnnscope.export(trace, "torch", tmp_path / name, steps="final")
        assert [array.name for array in done.arrays] == ["h_n", "c_n", "lengths"]
        assert "not held: gates" in str(done)
    assert rnnscope.diff(tmp_path / "a.npz", tmp_path / "b.npz", exact=True).verdict == "same"
    rnnscope.export(in_memory, "trace", tmp_path / "c.h5")
    assert rnnscope.diff(stored, tmp_path / "c.h5", exact=True).verdict == "same"
    assert in_memory.layers[LAYER].c[0, 0].shape == (64,)


def test_arrays_are_exported(tmp_path):
    rng = np.random.default_rng(0)
    m = np.tanh(rng.normal(size=(2, 3, 4)))
    done = rnnscope.export([m, m * 3], "tuple", tmp_path / "o.npz", source_format="keras")
    assert [array.name for array in done.arrays] == ["c", "h"]
    np.testing.assert_array_equal(np.load(tmp_path / "o.npz")["h"], m)
    assert done.to_dict()["arrays"][0] == {"name": "c", "shape": [2, 3, 4], "dtype": "float64"}


def test_ids_and_words_of_lstmvis_may_be_at_hand(in_memory, tmp_path):
    ids = np.arange(20).reshape(2, 10) % 3
    words = {0: "the", 1: "cat", 2: "sat"}
    rnnscope.export(in_memory, "lstmvis", tmp_path / "p", ids=ids, words=words)
    assert (tmp_path / "p" / "words.dict").read_text() == "the 0\ncat 1\nsat 2\n"


def test_export_prints_what_the_command_prints(stored, tmp_path, rnnscope_command):
    out = tmp_path / "o.npz"
    printed = rnnscope_command("export", stored, "--to", "keras", "-o", out)
    assert str(rnnscope.export(stored, "keras", out, force=True)) == shown(printed)


@pytest.mark.parametrize(
    ("to", "options", "words", "hint"),
    [
        ("kears", {}, "to does not understand", "Did you mean 'keras'?"),
        ("keras", {"steps": "finel"}, "steps does not understand", "Did you mean 'final'?"),
        ("keras", {"source_format": "torsh"}, "from does not understand", "Did you mean 'torch'?"),
        ("keras", {"layers": "nothing"}, "fits no layer", None),
        ("keras", {"ids": np.zeros((2, 10), int)}, "are for LSTMVis", None),
    ],
)
def test_mistakes_in_an_export_are_named(in_memory, tmp_path, to, options, words, hint):
    with pytest.raises(OptionError, match=words) as caught:
        rnnscope.export(in_memory, to, tmp_path / "o.npz", **options)
    assert caught.value.hint == hint
    assert list(tmp_path.iterdir()) == []


# check


def test_a_trace_in_memory_is_compared_with_a_golden_one(in_memory, stored):
    report = rnnscope.check(in_memory, golden=stored, only=["golden"])
    assert report.status == "pass"
    with pytest.raises(OptionError, match="go with golden"):
        rnnscope.check(in_memory, atol=1e-6)
