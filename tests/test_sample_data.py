"""The files of sample_data give the states that their frameworks computed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pytest

SAMPLES = Path(__file__).resolve().parent.parent / "sample_data"
LIMITS = {"float32": 5e-6, "float64": 1e-12}
"""Largest difference, as a part of the largest state or of 1, by dtype."""

CASES = {
    # name: checkpoint, input, truth, {layer in the trace: its prefix in the truth}
    "float32": ("lstm_float32/model.ckpt", "inputs", "truth", {"rnn/lstm_cell": ""}),
    "float64": ("lstm_float64/model.ckpt", "inputs", "truth", {"rnn/lstm_cell": ""}),
    "float64-full-length": (
        "lstm_float64/model.ckpt",
        "inputs_full_length",
        "truth_full_length",
        {"rnn/lstm_cell": ""},
    ),
    "keras-mask": ("keras_mask/model.keras", "inputs", "truth", {"lstm": ""}),
    "keras2-masked": ("keras2_masked/model.h5", "inputs", "truth", {"lstm": ""}),
    "keras-stack": (
        "keras_stack/model.h5",
        "inputs",
        "truth",
        {"lstm": "l0_", "lstm_1": "l1_", "lstm_2": "l2_"},
    ),
}


def run(case, folder, *more):
    checkpoint, name, _, _ = CASES[case]
    trace = folder / "trace.h5"
    given = (SAMPLES / checkpoint).parent / f"{name}.npz"
    done = subprocess.run(
        [sys.executable, "-m", "rnnscope", "run", SAMPLES / checkpoint, given, "-o", trace, *more],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    return done, trace


@pytest.mark.parametrize("case", CASES)
def test_states_are_the_frameworks_own(case, tmp_path):
    done, trace = run(case, tmp_path, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    checkpoint, _, truth, layers = CASES[case]
    with np.load((SAMPLES / checkpoint).parent / f"{truth}.npz") as true, h5py.File(trace) as file:
        for layer, prefix in layers.items():
            for key in ("c", "m", "outputs", "final_c", "final_m"):
                want, got = true[f"{prefix}{key}"], file[layer][key.replace("_", "/")][...]
                if key == "outputs" and want.ndim == 2:
                    got = got[:, -1]  # the layer hands on its last output only
                if key in {"c", "m"} and case.startswith("float"):
                    # Past the length TensorFlow's loop emitted zeros; a trace holds the state.
                    valid = np.arange(want.shape[1]) < file["lengths"][...][:, None]
                    want, got = want[valid], got[valid]
                assert got.dtype == want.dtype
                scale = max(1.0, np.abs(want).max())
                assert np.abs(got - want).max() <= LIMITS[want.dtype.name] * scale, (layer, key)


def test_state_is_carried_past_the_length(tmp_path):
    _, trace = run("float64", tmp_path, "--quiet")
    with h5py.File(trace) as file:
        layer, lengths = file["rnn/lstm_cell"], file["lengths"][...]
        assert lengths.tolist() == [10, 6]
        for state in ("c", "m"):
            carried = np.broadcast_to(layer[state][1, 5], (4, 64))
            np.testing.assert_array_equal(layer[state][1, 6:], carried)
        assert not layer["outputs"][1, 6:].any()


KERAS_THAT_REFUSES = "3.15"
"""The version of Keras 3 whose refusal the README quotes."""


@pytest.mark.slow
def test_keras_3_refuses_the_model_of_keras_2():
    script = f"import keras; keras.saving.load_model({str(SAMPLES / 'keras2_masked/model.h5')!r})"
    installed = version("keras")
    if not installed.startswith(f"{KERAS_THAT_REFUSES}."):
        pytest.skip(f"Keras {installed} is installed, not {KERAS_THAT_REFUSES}")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    refusal = done.stderr.splitlines()[-1]
    assert (
        refusal
        == "ValueError: Unrecognized keyword arguments passed to LSTM: {'time_major': False}"
    )
    assert refusal in (SAMPLES.parent / "README.md").read_text(encoding="utf-8")


def test_the_trap_is_named(tmp_path):
    """The input's tail is zero, and the lengths run through it: computed on, and said so."""
    done, trace = run("float64-full-length", tmp_path, "--format", "json")
    assert done.returncode == 0, done.stderr
    tail = next(f for f in json.loads(done.stdout)["findings"] if f["check"] == "input-tail")
    assert (tail["status"], tail["measured"]) == ("warn", 1)
    assert (tail["place"]["sequence"], tail["place"]["timestep"]) == (1, 6)
    with h5py.File(trace) as file:
        assert np.abs(np.diff(file["rnn/lstm_cell/c"][1, 5:], axis=0)).max(axis=1).min() > 0


def test_lengths_auto_finds_the_lengths_that_were_meant(tmp_path):
    done, trace = run("float64-full-length", tmp_path, "--lengths", "auto", "--quiet")
    assert done.returncode == 0, done.stderr
    with h5py.File(trace) as file:
        assert file["lengths"][...].tolist() == [10, 6]


@pytest.mark.parametrize("command", ["--help", "inspect", "run"])
@pytest.mark.parametrize("checkpoint", ["lstm_float32/model.ckpt", "keras_mask/model.keras"])
def test_no_framework_is_imported(command, checkpoint, tmp_path):
    path = SAMPLES / checkpoint
    given = {
        "--help": [],
        "inspect": [path],
        "run": [path, path.parent / "inputs.npz", "-o", tmp_path / "trace.h5"],
    }[command]
    script = """
import sys
from rnnscope.cli.main import run

code = run(sys.argv[1:])
found = {"tensorflow", "keras", "tf_keras"} & {name.split(".")[0] for name in sys.modules}
sys.stderr.write(" ".join(found))
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, command, *given], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_samples_are_small_and_each_is_described():
    files = [path for path in SAMPLES.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000
    described = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for folder in SAMPLES.iterdir():
        if folder.is_dir():
            assert f"`{folder.name}/`" in described
