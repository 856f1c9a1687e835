"""``inspect`` of anything a user has, and ``check MODEL``: what weights tell by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import rnnscope as api
from rnnscope.checks.weights import WEIGHT_CHECKS
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.files.containers.safetensors import write_safetensors

SAMPLE = Path(__file__).parents[3] / "sample_data/lstm_float64"
RNG = np.random.default_rng(3)
UNITS, FEATURES = 4, 3


def model(path, **changed):
    """A state dict of one nn.LSTM: kernels of 0.1, gates i f g o of four rows each."""
    arrays = {
        "weight_ih": RNG.normal(scale=0.1, size=(4 * UNITS, FEATURES)).astype(np.float32),
        "weight_hh": RNG.normal(scale=0.1, size=(4 * UNITS, UNITS)).astype(np.float32),
        "bias_ih": np.zeros(4 * UNITS, np.float32),
        "bias_hh": np.zeros(4 * UNITS, np.float32),
    }
    for name, change in changed.items():
        change(arrays[name])
    write_safetensors(path, {f"lstm.{name}_l0": LoadedArray(a) for name, a in arrays.items()})
    return path


def put(where, value):
    def change(array):
        array[where] = value

    return change


def test_a_trace_is_inspected(rnnscope, tmp_path):
    trace = tmp_path / "trace.h5"
    api.run(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", output=trace, gates=True).close()
    done = rnnscope("inspect", trace)
    assert (done.code, done.stderr) == (0, "")
    for words in (
        "c                sequence 2 x timestep 10 x unit 64",
        "options (graph)  activation tanh, backward 0, cell_clip none, forget_bias 1.0",
        "recipe\n  - checkpoint",
        "  - gates True\n",
    ):
        assert words in done.stdout
    told = json.loads(rnnscope("inspect", trace, "--format", "json").stdout)
    assert told["report"] == "trace"
    assert told["recipe"]["options"] == {"gates": True}


def test_an_input_is_inspected(rnnscope, tmp_path):
    x = np.zeros((2, 5, 3), np.float32)
    x[1, 2, 0], x[0, 0, 0] = np.nan, 7
    np.savez(tmp_path / "in.npz", x=x, lengths=[5, 3], extra=np.zeros(4))
    done = rnnscope("inspect", tmp_path / "in.npz")
    assert done.code == 0
    lines = done.stdout.splitlines()
    assert lines[3].split() == [
        "x", "2", "x", "5", "x", "3", "float32", "0", "7", "1", "input"
    ]  # fmt: skip
    assert "  - 1 value of x is NaN or infinite" in lines
    assert "  - extra is all zero" in lines
    assert "  - as an input x is (sequence, timestep, feature): (2, 5, 3)" in lines


def test_a_suite_is_inspected(rnnscope, tmp_path):
    (tmp_path / "s.toml").write_text(
        '[[case]]\nname = "one"\ncheckpoint = "m.ckpt"\ninput = "x.npz"\n'
        "run = { lengths = [1, 2] }\n"
    )
    done = rnnscope("inspect", tmp_path / "s.toml")
    assert done.code == 0
    assert f"case    one\nruns    {tmp_path}/m.ckpt {tmp_path}/x.npz lengths=[1, 2]\n" in (
        done.stdout.replace("\n        ", " ")
    )


def test_weights_that_are_suspicious_are_said_by_inspect(rnnscope, tmp_path):
    path = model(tmp_path / "m.safetensors", weight_ih=put((0, 0), np.nan),
                 weight_hh=put(slice(None), 0))  # fmt: skip
    done = rnnscope("inspect", path)
    assert done.code == 0
    assert "weights\n  - lstm/l0: NaN or infinite: 1 in kernel\n" in done.stdout
    assert "  - lstm/l0: recurrent_kernel is all zero\n" in done.stdout
    fine = rnnscope("inspect", model(tmp_path / "fine.safetensors"))
    assert "\nweights\n" not in fine.stdout


DIAGONAL = np.zeros((UNITS, UNITS))
DIAGONAL[0, 0], DIAGONAL[1, 2], DIAGONAL[2, 1] = 3, 40, -10
"""Eigenvalues 3, ±20i and 0: the radius is 20."""


@pytest.mark.parametrize(
    ("check", "change", "status", "measured"),
    [
        ("weights-finite", {"weight_hh": put((0, 0), np.inf)}, "fail", 1),
        ("weights-constant", {"weight_ih": put(slice(0, UNITS), 0)}, "warn", 1),
        ("weights-size", {"weight_ih": put((0, 0), -1e6)}, "warn", 1e6),
        (
            "weights-dead-units",
            {
                "weight_ih": put(slice(1, None, UNITS), 0),
                "weight_hh": put(slice(1, None, UNITS), 0),
            },
            "warn",
            1,
        ),
        ("weights-saturated-bias", {"bias_hh": put(slice(0, 3), 20)}, "warn", 3),
        (
            "weights-spectral-radius",
            {"weight_hh": put(slice(2 * UNITS, 3 * UNITS), DIAGONAL.T)},
            "warn",
            20,
        ),
    ],
)
def test_each_check_of_weights_fails_where_it_should(
    rnnscope, tmp_path, check, change, status, measured
):
    good = api.check(model(tmp_path / "good.safetensors"))
    assert good.status == "pass"
    assert [one.check for one in good.subjects[0].findings] == list(WEIGHT_CHECKS)
    path = model(tmp_path / "bad.safetensors", **change)
    done = rnnscope("check", path, "--only", check, "--format", "json")
    (finding,) = json.loads(done.stdout)["subjects"][0]["findings"]
    assert (finding["check"], finding["status"]) == (check, status)
    assert finding["measured"] == pytest.approx(measured, rel=1e-5)
    assert done.code == (1 if status == "fail" else 0)
    # A limit that is set is a promise.
    done = rnnscope("check", path, "--only", check, "--limit", f"{check}=0")
    assert done.code == 1
    assert "fail" in done.stdout


def test_a_projection_is_part_of_the_recurrence(tmp_path):
    """R P and P R have the same eigenvalues but for zeros."""
    from rnnscope.checks.weights import WEIGHT_CHECKS as TABLE
    from rnnscope.model.cell import CellSpec, LSTMWeights

    projection = RNG.normal(size=(UNITS, 2))
    recurrent = RNG.normal(size=(2, 4 * UNITS))
    weights = LSTMWeights(np.ones((1, 4 * UNITS)), recurrent, np.zeros(4 * UNITS),
                          projection=projection)  # fmt: skip
    found = TABLE["weights-spectral-radius"].measure(CellSpec("lstm", "", weights, None, (), ""))
    expected = max(
        np.abs(np.linalg.eigvals(projection @ block)).max()
        for block in np.split(recurrent, 4, axis=1)
    )
    assert found.measured == pytest.approx(expected)


def test_a_model_and_a_trace_beside_each_other(rnnscope, tmp_path):
    trace = tmp_path / "trace.h5"
    api.run(SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", output=trace).close()
    done = rnnscope("check", SAMPLE / "model.ckpt", trace)
    assert (done.code, done.stderr) == (0, "")
    assert "2 subjects: 19 passed, 9 skipped" in done.stdout
    assert api.check(api.open_model(SAMPLE / "model.ckpt")).status == "pass"


def test_what_needs_a_run_is_refused_of_a_model(rnnscope):
    done = rnnscope("check", SAMPLE / "model.ckpt", "--recompute")
    assert done.code == 2
    assert done.stderr.startswith("error: --recompute, --verify and --golden go with a trace.\n")


def test_a_dict_of_arrays_that_numpy_pickled_is_inspected_as_it_is_run(rnnscope, tmp_path):
    """It was taken for an array of numbers, and refused, while ``run`` read its layer."""
    path = tmp_path / "lstm.npy"
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": 16, "bias_hh_l0": 16}
    arrays = {f"lstm.{name}": RNG.normal(size=shape) for name, shape in shapes.items()}
    np.save(path, np.array(arrays, object), allow_pickle=True)
    done = rnnscope("inspect", path)
    assert (done.code, done.stderr) == (0, "")
    assert "(npy-objects, " in " ".join(done.stdout.split())  # the path may break the line
    np.save(tmp_path / "x.npy", RNG.normal(size=(2, 5, 3)))
    done = rnnscope("run", path, tmp_path / "x.npy", "--quiet", "-o", tmp_path / "t.h5")
    assert (done.code, done.stderr) == (0, "")


def test_an_array_of_objects_beside_an_input_is_listed(rnnscope, tmp_path):
    """``run`` takes the input and never looks at it; damage is still told."""
    path = tmp_path / "in.npz"
    np.savez(path, x=np.ones((2, 5, 8)), words=np.array([{"a": 1}, None, "b"], object))
    done = rnnscope("inspect", path, "--format", "json")
    assert (done.code, done.stderr) == (0, "")
    words = json.loads(done.stdout)["arrays"][1]
    assert (words["name"], words["shape"], words["dtype"]) == ("words", [3], "object")
    done = rnnscope("run", SAMPLE / "model.ckpt", path, "--quiet", "-o", tmp_path / "t.h5")
    assert (done.code, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["in.npz::x", "in.h5::/group/x", "in.h5::group/x"])
def test_one_array_is_inspected_by_the_name_that_run_takes(rnnscope, tmp_path, name):
    np.savez(tmp_path / "in.npz", x=np.ones((2, 5, 8)), y=np.zeros(3))
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["group/x"], file["y"] = np.ones((2, 5, 8)), np.zeros(3)
    done = rnnscope("inspect", tmp_path / name, "--format", "json")
    assert (done.code, done.stderr) == (0, "")
    (array,) = json.loads(done.stdout)["arrays"]
    assert (array["name"].rpartition("/")[2], array["shape"], array["role"]) == (
        "x", [2, 5, 8], "input",
    )  # fmt: skip
    done = rnnscope("run", SAMPLE / "model.ckpt", tmp_path / name, "-q", "-o", tmp_path / "t.h5")
    assert (done.code, done.stderr) == (0, "")
    done = rnnscope("inspect", f"{tmp_path / name}z")
    assert done.code == 2
    assert "holds no array" in done.stderr


@pytest.mark.parametrize("command", ["inspect", "run"])
def test_an_array_of_objects_that_is_named_is_refused(rnnscope, tmp_path, command):
    """``inspect`` listed it, though ``run`` does not take it."""
    path = tmp_path / "in.npz"
    np.savez(path, x=np.ones((2, 5, 8)), words=np.array([{"a": 1}, None, "b"], object))
    model = [SAMPLE / "model.ckpt"] if command == "run" else []
    done = rnnscope(command, *model, f"{path}::words")
    assert done.code == 2
    assert "an object array, which only pickle could load" in done.stderr


def test_a_dataset_of_no_values_is_no_array(rnnscope, tmp_path):
    """It was said to lie outside of the file, and refused all that is beside it."""
    path = tmp_path / "in.h5"
    with h5py.File(path, "w") as file:
        file["x"], file["nothing"] = np.ones((2, 5, 8)), h5py.Empty("f4")
    done = rnnscope("inspect", path, "--format", "json")
    assert (done.code, done.stderr) == (0, "")
    assert [one["name"] for one in json.loads(done.stdout)["arrays"]] == ["x"]
    done = rnnscope("run", SAMPLE / "model.ckpt", f"{path}::x", "-q", "-o", tmp_path / "t.h5")
    assert (done.code, done.stderr) == (0, "")
