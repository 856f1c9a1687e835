"""``rnnscope pool`` as users meet it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.cli.states.pool import DIRECTIONS, EDGES, METHODS, STATES
from rnnscope.pooling import POOLINGS
from rnnscope.pooling.interface import Direction, Edge
from rnnscope.pooling.plan import STATES as KNOWN_STATES

SAMPLE = Path(__file__).resolve().parents[3] / "sample_data" / "lstm_float64"
LAYER = "rnn/lstm_cell"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A trace of the sample: two sequences of ten steps, lengths 10 and 6, 64 units."""
    from rnnscope.cli.main import run

    path = tmp_path_factory.mktemp("sample") / "trace.h5"
    arguments = ["run", SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", "-o", path, "--quiet"]
    assert run([str(argument) for argument in arguments]) == 0
    return path


@pytest.fixture
def trace(sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(sample, "trace.h5")
    return "trace.h5"


def test_choices_are_those_of_the_tables():
    assert tuple(POOLINGS) == METHODS
    assert KNOWN_STATES == STATES
    assert Direction.__args__ == DIRECTIONS
    assert Edge.__args__ == EDGES


def test_the_average_of_all_states(trace, rnnscope, read_trace):
    """The report, word for word."""
    result = rnnscope("pool", trace, "--naive")
    assert (result.code, result.stderr) == (0, "")
    assert (
        result.stdout
        == """\
trace        trace.h5 (2 sequences x 10 timesteps)
valid steps  lengths 10, 6
written      trace.h5::/pooled

pooled rnn/lstm_cell
state  method  shape   dtype    array
m      mean    2 x 64  float64  /pooled/rnn/lstm_cell/m/mean

ignoring the padding of rnn/lstm_cell
state  method      differ  by at most  where       pooled  ignoring
m      mean    1 sequence       0.262  [1, :, 36]  -0.103    -0.364

m mean  divides by all timesteps, and adds what stands past the length
"""
    )
    arrays = read_trace(trace)
    m = arrays[f"{LAYER}/m"]
    expected = [m[0].mean(axis=0), m[1, :6].mean(axis=0)]
    np.testing.assert_allclose(arrays[f"pooled/{LAYER}/m/mean"], expected, rtol=1e-14)


def test_what_padding_does_to_each_method(trace, rnnscope):
    states = ("--state", "c", "--state", "outputs")
    result = rnnscope("pool", trace, *states, "--method", "all", "--naive")
    assert result.code == 0
    assert (
        result.stdout.partition("\n\nignoring")[2]
        == """\
 the padding of rnn/lstm_cell
state    method       differ  by at most  where       pooled  ignoring
c        sum      1 sequence        12.1  [1, :, 37]    12.1      24.2
c        mean     1 sequence       0.447  [1, :, 36]  -0.172    -0.619
c        max     0 sequences           0
c        argmax  0 sequences           0
c        last    0 sequences           0
c        first   0 sequences           0
outputs  sum     0 sequences           0
outputs  mean     1 sequence        0.21  [1, :, 2]    0.525     0.315
outputs  max      1 sequence       0.277  [1, :, 13]  -0.277         0
outputs  argmax   1 sequence           6  [1, :, 11]       0         6
outputs  last     1 sequence       0.809  [1, :, 39]   0.809         0
outputs  first   0 sequences           0

c sum            adds what stands past the length: a carried state, once for every step
c/outputs mean   divides by all timesteps, and adds what stands past the length
c max            right only because nothing past the length is larger
c argmax         right only because nothing past the length is larger
c last           right only because the last value is carried to the end of the array
c/outputs first  right only because no padding stands before the first valid step
outputs sum      right only because zeros stand past the length
outputs max      sees what stands past the length; a zero there beats every negative value
outputs argmax   names steps past the length
outputs last     reads the last timestep of the array, past the end of shorter sequences
"""
    )


def test_full_lengths_have_nothing_to_ignore(rnnscope, tmp_path):
    trace = tmp_path / "full.h5"
    inputs = SAMPLE / "inputs_full_length.npz"
    assert rnnscope("run", SAMPLE / "model.ckpt", inputs, "-o", trace).code == 0
    result = rnnscope("pool", trace, "--naive")
    assert "no sequence has padding: every number is the same" in result.stdout


def test_a_sequence_of_length_0_is_said(small, rnnscope, tmp_path, read_trace):
    trace = tmp_path / "t.h5"
    arguments = ("run", small.prefix, small.inputs, "--lengths", "6,0,2", "-o", trace, "--quiet")
    assert rnnscope(*arguments).code == 0
    result = rnnscope("pool", trace, "--method", "all", "--naive")
    assert (result.code, result.stderr) == (0, "")
    said = " ".join(result.stdout.split())
    assert (
        "1 sequence has no valid step: 0 for sum, NaN for mean and max and last and first, -1 for "
        "argmax." in said
    )
    assert "but gives sequences without a valid step a value" in said
    pooled = read_trace(trace)
    for method, value in {"sum": 0, "mean": np.nan, "last": np.nan, "argmax": -1}.items():
        np.testing.assert_array_equal(pooled[f"pooled/{small.layer}/m/{method}"][1], value)


def test_json_stands_alone_on_stdout(trace, rnnscope):
    arguments = ("pool", trace, "--method", "last", "--state", "outputs", "--naive")
    result = rnnscope(*arguments, "--format", "json")
    assert (result.code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert (report["schema_version"], report["report"]) == (1, "pool")
    (pooled,) = report["pooled"]
    assert pooled["array"] == f"trace.h5::/pooled/{LAYER}/outputs/last"
    assert (pooled["shape"], pooled["edge"], pooled["padded"]) == ([2, 64], "input", 1)
    assert pooled["naive"]["sequences"] == 1
    assert pooled["naive"]["naive"] == 0
    again = rnnscope(*arguments, "--format", "json")
    assert (again.code, json.loads(again.stdout)["report"]) == (2, "error")


def test_a_file_of_its_own(trace, rnnscope, tmp_path):
    before = (tmp_path / trace).read_bytes()
    result = rnnscope("pool", trace, "--state", "c", "--state", "m", "-o", "p.npz")
    assert (result.code, result.stderr) == (0, "")
    assert f"{LAYER}/c/mean" in result.stdout
    with np.load("p.npz") as found:
        assert {*found} == {f"{LAYER}/c/mean", f"{LAYER}/m/mean"}
    assert (tmp_path / trace).read_bytes() == before
    assert rnnscope("pool", trace, "-o", "p.npz").code == 2
    assert rnnscope("pool", trace, "-o", "p.npz", "--force").code == 0
    assert rnnscope("pool", trace, "-o", "p.npy").code == 0
    assert np.load("p.npy").shape == (2, 64)


@pytest.fixture(scope="module")
def bidirectional(tf, tf1_at, tmp_path_factory):
    """A checkpoint of bidirectional_dynamic_rnn, 3 features; its directions, 4 units each."""
    tf1 = tf1_at(tmp_path_factory.mktemp("bidi"))

    def build():
        return tf1.v1.nn.bidirectional_dynamic_rnn(
            tf1.cell(4), tf1.cell(4), tf1.placeholder(), tf1.lengths(), dtype="float32"
        )

    return tf1.save(build)[0]


def test_bidirectional_layers(bidirectional, small, rnnscope, tmp_path, read_trace):
    trace = tmp_path / "t.h5"
    assert rnnscope("run", bidirectional, small.inputs, "-o", trace, "--quiet").code == 0
    how = ("pool", trace, "--method", "last", "--direction", "concat")
    result = rnnscope(*how)
    assert result.code == 0
    assert "the backward half has seen one step only" in " ".join(result.stdout.split())
    name = "bidirectional_rnn/concat/lstm_cell"
    assert name in result.stdout
    edge = read_trace(trace)
    final = rnnscope(*how, "--edge", "final", "--force")
    assert final.code == 0
    arrays = read_trace(trace)
    ends = [arrays[f"bidirectional_rnn/{way}/lstm_cell/final/m"] for way in ("fw", "bw")]
    np.testing.assert_array_equal(arrays[f"pooled/{name}/m/last"], np.concatenate(ends, 1))
    steps = arrays["bidirectional_rnn/bw/lstm_cell/m"]
    last = steps[np.arange(3), small.lengths - 1]
    np.testing.assert_array_equal(edge[f"pooled/{name}/m/last"][:, 4:], last)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layer", "rnn/lstm_cel"], ["no such layer", "did you mean rnn/lstm_cell?"]),
        (["--direction", "sum"], ["None of the layers is bidirectional", "--direction sum"]),
        (["-o", "p.txt"], ["suffix", ".npz"]),
        (["-o", "p.npy", "--method", "all"], ["holds one array", "6: "]),
        (["-o", "trace.h5"], ["suffix"]),
        (["-o", "nowhere/p.npz"], ["folder", "does not exist"]),
    ],
)
def test_trouble_is_2_and_leaves_the_trace(trace, rnnscope, tmp_path, arguments, words):
    before = (tmp_path / trace).read_bytes()
    result = rnnscope("pool", trace, *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    for word in words:
        assert word in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == [trace]
    assert (tmp_path / trace).read_bytes() == before


def test_a_second_time_takes_force(trace, rnnscope):
    assert rnnscope("pool", trace).code == 0
    result = rnnscope("pool", trace)
    assert (result.code, result.stdout) == (2, "")
    assert f"/pooled/{LAYER}/m/mean" in result.stderr
    assert "--force" in result.stderr
    assert rnnscope("pool", trace, "--method", "max").code == 0
    assert rnnscope("pool", trace, "--force").code == 0


def test_traces_that_cannot_be_pooled(trace, rnnscope, tmp_path):
    with h5py.File(trace, "r+") as file:
        file.attrs["complete"] = 0
    result = rnnscope("pool", trace)
    assert (result.code, result.stdout) == (2, "")
    assert "not complete" in result.stderr
    for name, content in {"empty.h5": b"", "other.h5": b"something else"}.items():
        (tmp_path / name).write_bytes(content)
        assert rnnscope("pool", name).code == 2
    assert rnnscope("pool", "nowhere.h5").code == 2


def test_a_layer_without_c(tmp_path, rnnscope):
    """A GRU's state is m alone; the message says which states there are."""
    from rnnscope.model.states import LayerFacts, LayerStates
    from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter

    layer = LayerHeader("gru", 2, {"m": 2}, facts=LayerFacts("gru", cell="gru"))
    m, end = np.ones((1, 3, 2), "f4"), np.ones((1, 2), "f4")
    with TraceWriter(tmp_path / "t.h5", TraceHeader(), [layer], 1, 3) as writer:
        writer.write_layer("gru", LayerStates({"m": m}, m, {"m": end}, {"m": end}), slice(0, 1))
    result = rnnscope("pool", tmp_path / "t.h5", "--state", "c")
    assert (result.code, result.stdout) == (2, "")
    for word in ("has the state c", "one of m, outputs", "cells: gru", "say --state m"):
        assert word in result.stderr


def test_help_shows_what_to_say(rnnscope):
    result = rnnscope("pool", "--help")
    assert result.code == 0
    assert "rnnscope pool trace.h5 --method mean" in result.stdout


def test_a_run_that_replaces_pooled_arrays_names_them(trace, rnnscope):
    """Somebody added them to the trace, and no run makes them again."""
    again = ["run", SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", "-o", trace, "--force"]
    assert "went with it" not in rnnscope(*again, "--format", "json").stdout
    assert rnnscope("pool", trace, "--method", "max").code == 0
    notes = json.loads(rnnscope(*again, "--format", "json").stdout)["notes"]
    assert (
        "The pooled arrays of the trace that was replaced went with it (rnn/lstm_cell/m/max): "
        "pool again." in notes
    )
    assert "went with it" not in rnnscope(*again, "--format", "json").stdout
