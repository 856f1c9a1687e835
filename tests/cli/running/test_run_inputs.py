"""Inputs of a run beside one file: .mat, .parquet, stdin, random numbers, several, NaN."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import rnnscope as api

SAMPLE = Path(__file__).parents[3] / "sample_data/lstm_float64"
CKPT, INPUTS = SAMPLE / "model.ckpt", SAMPLE / "inputs.npz"
X = np.load(INPUTS)["x"]


@pytest.fixture(scope="module")
def truth():
    with api.run(CKPT, INPUTS) as trace:
        return trace.layers["rnn/lstm_cell"].c[:]


def states(path):
    with api.open_trace(path) as trace:
        return trace.layers["rnn/lstm_cell"].c[:], trace.valid.sum(axis=1).tolist()


def test_a_mat_file_of_7_3_has_its_axes_turned_back(rnnscope, tmp_path, truth):
    """MATLAB writes by columns: HDF5 has (feature, timestep, sequence) of what MATLAB shows."""
    path = tmp_path / "x.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = X.transpose(2, 1, 0)
        file["lengths"] = np.array([[10.0], [6.0]])  # MATLAB: 1 x 2
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM")
    done = rnnscope("run", CKPT, path, "-o", tmp_path / "t.h5")
    assert (done.code, done.stderr) == (0, "")
    assert "x.mat::x: 2 x 10 x 8, float64, lengths 10, 6" in done.stdout
    c, lengths = states(tmp_path / "t.h5")
    assert np.array_equal(c, truth)
    assert lengths == [10, 6]


@pytest.mark.parametrize("do_compression", [False, True])
def test_a_mat_file_of_5(rnnscope, tmp_path, truth, do_compression):
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "x.mat", {"x": X, "lengths": [10, 6], "text": "left out"},
                     do_compression=do_compression)  # fmt: skip
    assert rnnscope("run", CKPT, tmp_path / "x.mat", "-o", tmp_path / "t.h5").code == 0
    assert np.array_equal(states(tmp_path / "t.h5")[0], truth)


def test_a_parquet_table(rnnscope, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {f"f{number}": X[0, :, number] for number in range(X.shape[2])}
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert rnnscope("run", CKPT, tmp_path / "x.parquet", "-o", tmp_path / "t.h5").code == 0
    with api.run(CKPT, X[:1]) as alone:
        expected = alone.layers["rnn/lstm_cell"].c[:]
    assert np.array_equal(states(tmp_path / "t.h5")[0], expected)
    parquet.write_table(pa.table({**columns, "name": ["a"] * 10}), tmp_path / "y.parquet")
    done = rnnscope("run", CKPT, tmp_path / "y.parquet", "-o", tmp_path / "u.h5")
    assert "error: A column of the table holds no numbers.\n" in done.stderr


@pytest.mark.parametrize(
    ("library", "head", "hint"),
    [
        ("scipy", b"MATLAB 5.0 MAT-file", "pip install 'rnnscope[mat]'"),
        ("pyarrow", b"PAR1", "pip install 'rnnscope[parquet]'"),
    ],
)
def test_what_needs_a_library_says_which(rnnscope, tmp_path, monkeypatch, library, head, hint):
    if importlib.util.find_spec(library):
        monkeypatch.setitem(sys.modules, library, None)
        monkeypatch.setitem(sys.modules, f"{library}.io", None)
        monkeypatch.setitem(sys.modules, f"{library}.parquet", None)
    (tmp_path / "x").write_bytes(head.ljust(200))
    done = rnnscope("run", CKPT, tmp_path / "x", "-o", tmp_path / "t.h5")
    assert done.code == 2
    assert f"is read by {library}, which is not installed.\n" in done.stderr
    assert f"  next: {hint}" in done.stderr


def piped(data, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "rnnscope", "run", str(CKPT), "-", *map(str, arguments)],
        input=data, capture_output=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_an_npy_on_stdin(tmp_path, truth):
    whole = io.BytesIO()
    np.save(whole, X)
    done = piped(whole.getvalue(), "-o", tmp_path / "t.h5", "--lengths", "10,6")
    assert (done.returncode, done.stderr) == (0, b"")
    assert np.array_equal(states(tmp_path / "t.h5")[0], truth)
    done = piped(b"PK\x03\x04", "-o", tmp_path / "u.h5")
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: What stdin holds is no .npy file.\n")


def test_random_numbers_for_a_first_look(rnnscope, tmp_path):
    first, again, other = (tmp_path / name for name in ("a.h5", "b.h5", "c.h5"))
    done = rnnscope("run", CKPT, "--random", "2,5", "-o", first)
    assert (done.code, done.stderr) == (0, "")
    assert "input       random numbers (seed 0): 2 x 5 x 8, float64\n" in done.stdout
    assert "a first look, and no data" in done.stdout
    assert rnnscope("run", CKPT, "--random", "2,5,8", "-o", again, "-q").code == 0
    assert rnnscope("run", CKPT, "--random", "2,5", "--seed", "1", "-o", other, "-q").code == 0
    assert np.array_equal(states(first)[0], states(again)[0])
    assert not np.array_equal(states(first)[0], states(other)[0])
    # The recipe alone gives the numbers again.
    assert rnnscope("rerun", first, "-q").code == 0
    # PCG64(0), as numpy documents it: the first value is 0.6369616873214543.
    expected = 2 * 0.6369616873214543 - 1
    rng = np.random.Generator(np.random.PCG64(0))
    assert 2 * rng.random((2, 5, 8))[0, 0, 0] - 1 == pytest.approx(expected, abs=1e-15)
    with api.run(CKPT, 2 * np.random.Generator(np.random.PCG64(0)).random((2, 5, 8)) - 1) as own:
        assert np.array_equal(own.layers["rnn/lstm_cell"].c[:], states(first)[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--random", "2,5", str(INPUTS)], "--random stands in the place of INPUT, and there is"),
        (["--random", "2"], "  expected: N,T or N,T,F: sequences, timesteps, features\n"),
        (["--random", "0,5"], "whole numbers of 1 or more"),
        ([], "Missing argument 'INPUT...'"),
    ],
)
def test_random_numbers_that_are_none(rnnscope, tmp_path, arguments, said):
    done = rnnscope("run", CKPT, *arguments, "-o", tmp_path / "t.h5")
    assert done.code == 2
    assert said in done.stderr


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "inputs"
    path.mkdir()
    np.save(path / "one.npy", X)
    np.save(path / "two.npy", 2 * X)
    (path / "notes.txt").write_text("no input")
    return path


def test_a_folder_of_inputs(rnnscope, folder, tmp_path):
    done = rnnscope("run", CKPT, folder, "--lengths", "10,6", "--format", "json")
    told = json.loads(done.stdout)
    assert (done.code, done.stderr, told["status"]) == (0, "", "pass")
    assert [Path(run["trace"]).name for run in told["runs"]] == ["one.trace.h5", "two.trace.h5"]
    with api.run(CKPT, 2 * X, lengths=[10, 6]) as alone:
        expected = alone.layers["rnn/lstm_cell"].c[:]
    assert np.array_equal(states(folder / "two.trace.h5")[0], expected)
    text = rnnscope("run", CKPT, folder, "--lengths", "10,6", "-f").stdout
    assert text.splitlines()[-1] == "2 runs: pass"
    found = api.run_several(CKPT, [folder], folder=tmp_path, lengths=[10, 6])
    assert found.status == "pass"
    assert (tmp_path / "one.trace.h5").is_file()


def test_one_of_several_that_cannot_be_run_leaves_the_others(rnnscope, folder, tmp_path):
    np.save(folder / "bad.npy", X[:, :, :3])
    files = [folder / name for name in ("bad.npy", "one.npy")]
    done = rnnscope("run", CKPT, *files, "-o", tmp_path)
    assert done.code == 2
    assert f"error  {files[0]}:" in done.stdout.replace("\n       ", " ")
    assert "2 runs: error, 1 could not be done" in done.stdout
    assert (tmp_path / "one.trace.h5").is_file()


def test_several_inputs_that_do_not_go_together(rnnscope, folder, tmp_path):
    done = rnnscope("run", CKPT, folder, "-o", tmp_path / "none")
    assert done.stderr.startswith("error: The traces of several inputs go into a folder.\n")
    (tmp_path / "empty").mkdir()
    done = rnnscope("run", CKPT, tmp_path / "empty")
    assert done.stderr.startswith("error: The folder holds no input.\n")
    done = rnnscope("run", CKPT, folder / "one.npy", folder / "one.npy")
    assert done.stderr.startswith("error: Two inputs would have the same trace.\n")


@pytest.fixture
def with_nan(tmp_path):
    x = X.copy()
    x[1, 3, 2] = np.nan
    np.save(tmp_path / "nan.npy", x)
    return tmp_path / "nan.npy"


def test_nan_is_refused_and_may_pass(rnnscope, with_nan, tmp_path):
    done = rnnscope("run", CKPT, with_nan, "-o", tmp_path / "t.h5")
    assert done.code == 2
    assert done.stderr.endswith("fill it with 0, or repair the data; --allow-nan computes on\n")
    done = rnnscope("run", CKPT, with_nan, "-o", tmp_path / "t.h5", "--allow-nan")
    assert (done.code, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    assert "- NaN or infinity in the input, first at sequence 1, timestep 3, feature 2." in said
    assert "- It spreads: rnn/lstm_cell is not finite first at sequence 1, timestep 3, unit" in said
    c, _ = states(tmp_path / "t.h5")
    assert np.isfinite(c[0]).all()
    assert np.isfinite(c[1, :3]).all()
    assert np.isnan(c[1, 3:]).all()


def test_nan_in_the_padding_does_not_spread(rnnscope, tmp_path):
    x = X.copy()
    x[1, 8] = np.nan
    np.save(tmp_path / "nan.npy", x)
    done = rnnscope("run", CKPT, tmp_path / "nan.npy", "-o", tmp_path / "t.h5", "--allow-nan",
                    "--lengths", "10,6")  # fmt: skip
    assert done.code == 0
    assert "It does not spread: every state is finite." in done.stdout
