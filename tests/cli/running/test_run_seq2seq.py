"""``rnnscope run`` with a decoder, from the command line."""

from __future__ import annotations

import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

RNG = np.random.default_rng(5)
FEED = {
    "encoder": RNG.normal(size=(3, 6, 3)).astype(np.float32),
    "decoder": RNG.normal(size=(3, 4, 3)).astype(np.float32),
    "lengths": np.array([6, 4, 2], np.int32),
}


@pytest.fixture
def model(tf1, tmp_path):
    """A dynamic encoder and decoder, and a projection that the graph uses nowhere."""

    def build():
        v1 = tf1.v1
        x, y = (v1.placeholder("float32", [None, None, 3], name) for name in ("encoder", "decoder"))
        _, state = v1.nn.dynamic_rnn(
            tf1.cell(4), x, tf1.lengths(), dtype="float32", scope="encoder_rnn"
        )
        v1.get_variable("proj_w", [4, 3])
        cell = tf1.telling(tf1.cell(4, forget_bias=0.3))
        return v1.nn.dynamic_rnn(cell, y, initial_state=state, scope="decoder_rnn")[0]

    prefix, told = tf1.save(build, FEED)
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, **FEED)
    flags = ("--inputs", "encoder", "--decoder-inputs", f"{inputs}::decoder")
    return SimpleNamespace(prefix=prefix, inputs=inputs, c=told[..., 4:8], flags=flags)


def test_both_layers_land_in_one_trace(rnnscope, model, tmp_path):
    trace = tmp_path / "t.h5"
    result = rnnscope("run", model.prefix, model.inputs, "-o", trace, *model.flags)
    assert (result.code, result.stderr) == (0, "")
    assert "starts from the final state of encoder_rnn/lstm_cell" in " ".join(result.stdout.split())
    with h5py.File(trace) as file:
        decoder = file["decoder_rnn/lstm_cell"]
        np.testing.assert_allclose(decoder["c"], model.c, rtol=0, atol=5e-6)
        assert decoder["c"].shape[1] == 4
        assert file["encoder_rnn/lstm_cell/c"].shape[1] == 6
        assert list(decoder.attrs["initial_from"]) == ["encoder_rnn/lstm_cell"]
        assert file.attrs["decoder_input"] == "inputs.npz::decoder"
        assert len(file.attrs["decoder_input_sha256"]) == 64
        given = file["encoder_rnn/lstm_cell/final/c"][...]
        assert np.array_equal(decoder["initial/c"][...], given)


def test_the_trace_opens_in_xarray(rnnscope, model, tmp_path):
    xarray = pytest.importorskip("xarray")
    trace = tmp_path / "t.h5"
    flags = (*model.flags, "--loop-function", "linear:proj_w", "--decoder-steps", "7")
    assert rnnscope("run", model.prefix, model.inputs, "-o", trace, "--quiet", *flags).code == 0
    with xarray.open_datatree(trace, engine="h5netcdf") as tree:
        assert tree["decoder_rnn/lstm_cell/inputs"].dims == ("sequence", "timestep", "input")
        assert tree["decoder_rnn/lstm_cell/inputs"].shape == (3, 7, 3)
        assert tree["encoder_rnn/lstm_cell/c"].sizes["timestep"] == 6


def test_the_handed_state_is_checked(rnnscope, model, tmp_path):
    trace = tmp_path / "t.h5"
    rnnscope("run", model.prefix, model.inputs, "-o", trace, "--quiet", *model.flags)

    def handoff():
        result = rnnscope("check", trace, "--format", "json", "--only", "handoff")
        text = result.stdout
        return [found for found in _findings(json.loads(text)) if "decoder" in found["layer"]]

    assert [found["status"] for found in handoff()] == ["pass"]
    with h5py.File(trace, "r+") as file:
        file["decoder_rnn/lstm_cell/initial/m"][1, 2] += 1
    assert [found["status"] for found in handoff()] == ["fail"]


def _findings(report):
    if isinstance(report, dict):
        if {"check", "layer", "status"} <= report.keys():
            yield report
        for value in report.values():
            yield from _findings(value)
    elif isinstance(report, list):
        for value in report:
            yield from _findings(value)


def test_verify_computes_a_decoder_anew(rnnscope, model, tmp_path):
    pytest.importorskip("tensorflow")
    flags = (*model.flags, "--loop-function", "linear:proj_w", "--verify", "tensorflow")
    result = rnnscope(
        "run", model.prefix, model.inputs, "-o", tmp_path / "t.h5", "--format", "json", *flags
    )
    assert result.code == 0, result.stderr
    rows = {row["layer"]: row for row in json.loads(result.stdout)["verify"]}
    assert "decoder_rnn/lstm_cell" in rows


def test_ragged_keeps_the_decoder_whole(rnnscope, model, tmp_path):
    trace = tmp_path / "t.h5"
    flags = (*model.flags, "--ragged", "--quiet")
    result = rnnscope("run", model.prefix, model.inputs, "-o", trace, *flags)
    assert (result.code, result.stderr) == (0, "")
    with h5py.File(trace) as file:
        assert file["encoder_rnn/lstm_cell/c"].shape == (12, 4)
        assert file["decoder_rnn/lstm_cell/c"].shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--loop-function", "cubic"), "--loop-function does not understand"),
        (("--loop-function", "linear:proj"), "no variable of this name"),
        (("--decoder-steps", "3"), "--decoder-steps is given"),
        (("--decoder", "nothing"), "--decoder names no recurrent layer"),
    ],
)
def test_flags_that_mean_nothing_are_errors(rnnscope, model, tmp_path, flags, message):
    trace = tmp_path / "t.h5"
    result = rnnscope("run", model.prefix, model.inputs, "-o", trace, *model.flags, *flags)
    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not trace.exists()


def test_the_decoder_inputs_are_never_overwritten(rnnscope, model, tmp_path):
    other = tmp_path / "decoder.npy"
    np.save(other, FEED["decoder"])
    flags = ("--inputs", "encoder", "--decoder-inputs", other, "--force")
    result = rnnscope("run", model.prefix, model.inputs, "-o", other, *flags)
    assert result.code == 2
    assert np.array_equal(np.load(other), FEED["decoder"])


@pytest.mark.parametrize("steps", [5, 6])
def test_lengths_of_the_encoder_leave_the_decoder_alone(rnnscope, model, tmp_path, steps):
    """Also where both take six steps: pooling and comparing count every step of the decoder."""
    trace, other = tmp_path / "t.h5", tmp_path / "u.h5"
    flags = (*model.flags, "--loop-function", "linear:proj_w", "--decoder-steps", steps, "--quiet")
    for path in (trace, other):
        assert rnnscope("run", model.prefix, model.inputs, "-o", path, *flags).code == 0
    pooled = tmp_path / "pooled.npz"
    result = rnnscope("pool", trace, "--state", "m", "--method", "mean", "-o", pooled)
    assert (result.code, result.stderr) == (0, "")
    assert "decoder_rnn/lstm_cell has other timesteps than the input" in result.stdout
    with h5py.File(trace) as file:
        m = file["decoder_rnn/lstm_cell/m"][...]
    with np.load(pooled) as found:
        (name,) = (key for key in found.files if "decoder" in key)
        np.testing.assert_allclose(found[name], m.mean(axis=1), rtol=0, atol=1e-6)
    with h5py.File(other, "r+") as file:
        file["decoder_rnn/lstm_cell/c"][2, -1] += 1  # past the encoder's length
    assert rnnscope("diff", trace, other).code == 1


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--loop-function", "linear:proj_w", "--decoder-steps", "7"),
        ("--loop-function", "linear:proj_w", "--gates"),
    ],
)
def test_a_decoder_is_computed_again_from_the_recipe(rnnscope, model, tmp_path, more):
    trace = tmp_path / "t.h5"
    assert rnnscope("run", model.prefix, model.inputs, "-o", trace, *model.flags, *more).code == 0
    result = rnnscope("check", trace, "--recompute", "--only", "padding-leak,float-drift,finite")
    assert (result.code, result.stderr) == (0, ""), result.stdout
    assert "pass    float-drift" in result.stdout
    assert rnnscope("rerun", trace).stdout.startswith("same: ")
    with h5py.File(trace, "r+") as file:
        file["decoder_rnn/lstm_cell/c"][1, 2, 0] += 0.5
    assert rnnscope("rerun", trace).code == 1
    again = rnnscope("check", trace, "--recompute", "--only", "float-drift")
    assert again.code == 1, again.stdout
