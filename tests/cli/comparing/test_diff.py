"""``rnnscope diff`` from the command line: exit codes, stdout and stderr."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import h5py
import numpy as np
import pytest

RNG = np.random.default_rng(9)
C = (RNG.normal(size=(2, 5, 3)) * 2).astype(np.float32)
M = np.tanh(RNG.normal(size=(2, 5, 3))).astype(np.float32)


@pytest.fixture
def pair(tmp_path):
    """Two files that differ in one value of c."""
    c = C.copy()
    c[1, 2, 0] += 0.5
    np.savez(tmp_path / "a.npz", c=C, m=M)
    np.savez(tmp_path / "b.npz", c=c, m=M)
    return tmp_path / "a.npz", tmp_path / "b.npz"


@pytest.fixture(scope="module")
def trace(small, tmp_path_factory):
    from rnnscope.cli.main import run

    path = tmp_path_factory.mktemp("trace") / "trace.h5"
    arguments = ["run", small.prefix, small.inputs, "-o", path, "--gates", "--quiet"]
    assert run([str(argument) for argument in arguments]) == 0
    return path


def test_the_same(rnnscope, pair):
    done = rnnscope("diff", pair[0], pair[0])
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("same: 2 arrays of 1 layer, 60 values\n")


def test_a_difference(rnnscope, pair):
    done = rnnscope("diff", *pair)
    assert (done.code, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "differ: 1 of 2 arrays"
    text = " ".join(done.stdout.split())
    assert "first at sequence 1, timestep 2, unit 0: A " in text
    assert "over time ··█··" in text
    assert "would pass at atol 0.5" in text
    assert "by default atol = rtol = 1e-05 for float32" in text


def test_an_array_that_was_not_read_is_in_the_first_line(rnnscope, pair, tmp_path):
    """Torch's output is the layer's outputs; what has no meaning is named."""
    states = {"h_n": M[:, -1][None], "c_n": C[:, -1][None]}
    np.savez(tmp_path / "tf.npz", **{"lstm/c": C, "lstm/m": M, "lstm/outputs": M})
    np.savez(tmp_path / "torch.npz", output=M + 1, **states)
    done = rnnscope("diff", tmp_path / "tf.npz", tmp_path / "torch.npz")
    assert (done.code, done.stderr) == (1, "")
    assert done.stdout.startswith("differ: 1 of 3 arrays; not compared: c, m (only in A)\n")
    assert "differ   outputs " in done.stdout
    np.savez(tmp_path / "torch.npz", output=M, attention=M, **states)
    done = rnnscope("diff", tmp_path / "tf.npz", tmp_path / "torch.npz")
    assert (done.code, done.stderr) == (0, "")
    first = " ".join(done.stdout.partition("\n\n")[0].split())
    assert first == (
        "same: 3 arrays of 1 layer, 42 values; not compared: c, m (only in A); "
        "not read: attention (in B)"
    )
    assert "not read\n  - B: attention\n" in done.stdout


def test_a_misspelt_array_of_a_tolerance(rnnscope, pair):
    done = rnnscope("diff", *pair, "--rtol", "outptus:1")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == (
        "error: A tolerance is for an array that is not there.\n"
        "  where: --rtol outptus:1\n"
        "  expected: one of c, m, final/c, final/m; or LAYER/ARRAY\n"
        "  found: outptus\n"
        "  next: did you mean outputs?\n"
    )


def test_quiet_prints_nothing(rnnscope, pair):
    done = rnnscope("diff", *pair, "--quiet")
    assert (done.code, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--atol", "1"], 0),
        (["--atol", "c:1"], 0),
        (["--atol", "m:1"], 1),
        (["--rtol", "10"], 0),
        (["--exact"], 1),
        (["--ulp", "4000000000"], 0),
        (["--fail-fast"], 1),
    ],
)
def test_tolerances(rnnscope, pair, flags, code):
    assert rnnscope("diff", *pair, *flags).code == code


def test_json_goes_to_stdout_alone(rnnscope, pair):
    done = rnnscope("diff", *pair, "--format", "json")
    found = json.loads(done.stdout)
    assert (found["schema_version"], found["report"], found["verdict"]) == (1, "diff", "differ")
    array = found["layers"][0]["arrays"][0]
    assert array["first"]["place"] == [1, 2, 0]
    assert array["exceed"] == 1
    assert done.stderr == ""


def test_json_of_nan_is_json(rnnscope, tmp_path):
    np.savez(tmp_path / "a.npz", c=np.full((1, 2, 2), np.nan))
    done = rnnscope("diff", tmp_path / "a.npz", tmp_path / "a.npz", "--format", "json")
    first = json.loads(done.stdout)["layers"][0]["arrays"][0]["first"]
    assert (done.code, first["a"]) == (1, "NaN")


def test_junit(rnnscope, pair):
    done = rnnscope("diff", *pair, "--format", "junit")
    root = ET.fromstring(done.stdout)  # noqa: S314  # our own
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "2", "1")
    failed = [
        case.get("name") for case in root.iter("testcase") if case.find("failure") is not None
    ]
    assert failed == ["c"]


def test_markdown(rnnscope, pair):
    done = rnnscope("diff", *pair, "--format", "markdown")
    assert done.stdout.startswith("### rnnscope diff: differ: 1 of 2 arrays\n")
    assert "| differ | c | 0.5 |" in done.stdout


def test_a_trace_and_one_of_its_arrays(rnnscope, small, trace, tmp_path):
    with h5py.File(trace) as file:
        np.save(tmp_path / "m.npy", file[f"{small.layer}/m"][...])
    done = rnnscope("diff", f"{trace}::{small.layer}/m", tmp_path / "m.npy")
    assert done.code == 0, done.stdout + done.stderr
    assert "the lengths of A are taken for both" in done.stdout


def test_gates_of_traces(rnnscope, small, trace, tmp_path):
    """A trace changed at one gate and one c: the report names the gate."""
    other = tmp_path / "other.h5"
    other.write_bytes(trace.read_bytes())
    with h5py.File(other, "r+") as file:
        file[f"{small.layer}/gates/g"][0, 3, 1] += 0.2
        file[f"{small.layer}/c"][0, 3, 1] += 0.2
    done = rnnscope("diff", trace, other)
    assert done.code == 1
    assert "timestep 3, unit 1" in done.stdout
    assert "gate g" in done.stdout


def test_checkpoints_over_an_input(rnnscope, small, tf1_at, tmp_path):
    done = rnnscope("diff", small.prefix, small.prefix, "--input", small.inputs)
    assert done.code == 0, done.stdout + done.stderr
    assert "run over inputs.npz" in " ".join(done.stdout.split())


def test_weights(rnnscope, small, two_layers):
    done = rnnscope("diff", "--weights", small.prefix, small.prefix)
    assert done.code == 0, done.stdout + done.stderr
    assert "recurrent_kernel" in done.stdout
    done = rnnscope("diff", "--weights", small.prefix, two_layers.prefix)
    assert done.code == 1
    assert "only in B" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.npz", "missing.npz"], "no such file"),
        (["{a}", "{a}", "--exact", "--ulp", "3"], "exclude each other"),
        (["{a}", "{a}", "--atol", "x"], "--atol does not understand"),
        (["{a}", "{a}", "--num-units", "-3"], "--num-units"),
        (["{a}", "{a}", "--b-format", "onnx"], "cannot be read as onnx"),
        (["{a}::nothing", "{a}"], "nothing of that name"),
        (["{a}", "{a}", "--weights", "--input", "x.npz"], "two comparisons"),
        (["{a}", "{a}", "--model-input"], "go with --input"),
        (["{a}", "{a}", "--weights"], "error"),
        (["{empty}", "{a}"], "holds no states"),
    ],
)
def test_trouble_is_2_with_nothing_on_stdout(rnnscope, pair, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    names = {"a": pair[0], "empty": tmp_path / "empty"}
    done = rnnscope("diff", *(argument.format(**names) for argument in arguments))
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
