"""``rnnscope check`` as users meet it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import h5py
import numpy as np
import pytest

SAMPLE = Path(__file__).resolve().parents[3] / "sample_data" / "lstm_float64"

WORKED = """
 0.00427834410  0.00145841937   0.0125767402  0.00500775501
 0.00624437723  0.00260074623   0.0232168660  0.00947457738
 0.00759789022 -0.0000534060055 0.0164511874 -0.00571310846
 0              0               0             0
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    from rnnscope.cli.main import run

    path = tmp_path_factory.mktemp("sample") / "trace.h5"
    arguments = ["run", SAMPLE / "model.ckpt", SAMPLE / "inputs.npz", "-o", path, "--quiet"]
    assert run([str(argument) for argument in arguments]) == 0
    return path


@pytest.fixture
def traces(sample, tmp_path, monkeypatch):
    """``good.h5``, ``bad.h5`` (its last output is not m) and ``none.h5`` (no trace)."""
    monkeypatch.chdir(tmp_path)
    for name in ("good.h5", "bad.h5"):
        shutil.copyfile(sample, name)
    with h5py.File("bad.h5", "r+") as file:
        file["rnn/lstm_cell/outputs"][1, 5, 2] = 0.75
    Path("none.h5").write_text("nothing")


@pytest.fixture
def worked(tmp_path, monkeypatch):
    """The published example as bare arrays."""
    monkeypatch.chdir(tmp_path)
    outputs = np.array(WORKED.split(), np.float32).reshape(4, 4)
    np.save("outputs.npy", outputs)
    np.savez("state.npz", m=outputs[2])
    return outputs


def test_the_worked_example_passes(worked, rnnscope):
    """The report, word for word."""
    result = rnnscope("check", "--outputs", "outputs.npy", "--state", "state.npz", "--lengths", "3")
    assert (result.code, result.stderr) == (0, "")
    assert (
        result.stdout
        == """\
checked  outputs.npy

checks
status  check                   measured  limit  where
pass    last-output-is-m               0      0
pass    state-width
pass    outputs-past-length            0      0
pass    zero-length          0 sequences      0
pass    finite                  0 values      0

skipped
  - final-state-is-last-valid-step, state-past-length, m-bound, dead-units: needs the output state m
    of every step
  - c-m-order: needs c and m, of every step or at the end
  - mask-and-lengths: no mask was given beside the lengths
  - exploding-c: needs the cell state c

padding
  - outputs: 1 of 1 sequence is shorter than 4 steps: outputs past the length are zero, the state
    keeps the state of the last valid step

1 subject: 5 passed, 7 skipped
"""
    )


def test_the_worked_example_with_its_zeros_replaced_fails_and_says_where(worked, rnnscope):
    worked[3] = [0.001, 0.002, -0.004, 0.003]
    np.save("outputs.npy", worked)
    result = rnnscope("check", "--outputs", "outputs.npy", "--state", "state.npz", "--lengths", "3")
    assert (result.code, result.stderr) == (1, "")
    assert "fail    outputs-past-length        0.004      0  [0, 3, 2]\n" in result.stdout
    assert "(sequence 0,\n        timestep 3, unit 2)" in result.stdout


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"c": "c", "h": "m"}, 0),
        ({"c": "m", "m": "c"}, 1),
        ({"state": "concat"}, 0),
        ({"state": "m"}, 0),
    ],
)
def test_states_in_several_shapes(worked, rnnscope, state, code):
    """C and m, [c, m] side by side, m alone; the wrong way round it fails."""
    m, c = worked[2], worked[2] * 2.5
    parts = {"m": m, "c": c, "concat": np.concatenate([c, m])}
    np.savez("state.npz", **{name: parts[part] for name, part in state.items()})
    result = rnnscope(
        "check", "--outputs", "outputs.npy", "--state", "state.npz", "--lengths", "3", "--quiet"
    )
    assert (result.code, bool(result.stdout)) == (code, bool(code))


def test_what_of_a_state_was_not_read_is_said(worked, rnnscope):
    np.savez("state.npz", h=worked[2], attention=worked[0])
    result = rnnscope("check", "--outputs", "outputs.npy", "--state", "state.npz", "--lengths", "3")
    assert result.code == 0
    assert "notes\n  - not read of state.npz: attention\n" in result.stdout


def test_a_state_that_is_not_clear(worked, rnnscope):
    np.savez("state.npz", a=worked, b=worked)
    result = rnnscope("check", "--outputs", "outputs.npy", "--state", "state.npz")
    assert (result.code, result.stdout) == (2, "")
    assert "It is not clear which arrays are the state" in result.stderr


@pytest.mark.parametrize(
    ("names", "code"), [(["good.h5"], 0), (["good.h5", "bad.h5"], 1), (["bad.h5", "none.h5"], 2)]
)
def test_exit_codes(traces, rnnscope, names, code):
    """A trace that cannot be read is trouble, and the others are still checked."""
    result = rnnscope("check", *names, "--format", "json")
    told = json.loads(result.stdout)
    assert result.code == code
    assert result.stderr.startswith("error: " if code == 2 else "")
    assert bool(result.stderr) == (code == 2)
    assert [subject["name"] for subject in told["subjects"]] == names
    assert told["status"] == ["pass", "fail", "error"][code]


def test_failures_say_where(traces, rnnscope):
    result = rnnscope("check", "bad.h5", "--only", "last-output-is-m,finite")
    assert result.code == 1
    assert "fail    last-output-is-m" in result.stdout
    assert "[1, 5, 2]" in result.stdout
    assert result.stdout.endswith("1 subject: 1 failed, 1 passed\n")
    assert rnnscope("check", "bad.h5", "--skip", "last-output-is-m", "--quiet").stdout == ""


@pytest.mark.parametrize(("options", "code"), [([], 2), (["--allow-empty"], 0)])
def test_nothing_judged_is_trouble_unless_it_is_allowed(traces, rnnscope, options, code):
    result = rnnscope("check", "good.h5", "--only", "saturation", *options)
    assert result.code == code
    hint = "nothing could be judged: every check was skipped (--allow-empty)\n"
    assert result.stderr == (hint if code else "")


def test_junit_is_written_beside_the_report(traces, rnnscope):
    result = rnnscope("check", "good.h5", "bad.h5", "--junit", "report.xml", "--quiet")
    root = ET.parse("report.xml").getroot()  # noqa: S314  # our own
    assert result.code == 1
    assert (root.get("failures"), root.get("errors")) == ("1", "0")
    failing = [
        case.get("name") for case in root.iter("testcase") if case.find("failure") is not None
    ]
    assert failing == ["last-output-is-m"]


def test_a_junit_file_that_cannot_be_written(traces, rnnscope):
    result = rnnscope("check", "good.h5", "--junit", "nowhere/report.xml")
    assert (result.code, result.stdout) == (2, "")
    assert "The JUnit file cannot be written." in result.stderr


def test_github_annotations_and_summary(traces, rnnscope, monkeypatch):
    """Annotations go to stderr, so that JSON stays alone on stdout; all findings to the summary."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    result = rnnscope("check", "bad.h5", "--github", "--format", "json")
    json.loads(result.stdout)
    (line,) = result.stderr.splitlines()
    assert line.startswith("::error title=rnnscope last-output-is-m%3A bad.h5::rnn/lstm_cell: ")
    summary = Path("summary.md").read_text()
    assert summary.startswith("before\n### rnnscope check: 1 subject: 1 failed")
    assert "| pass | finite | rnn/lstm\\_cell |" in summary


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say what to check: TRACE, --suite FILE or --outputs FILE"),
        (["good.h5", "--outputs", "x.npy"], "say what to check"),
        (["good.h5", "--lengths", "3"], "--state, --lengths and --padding go with --outputs"),
        (["good.h5", "--update-golden"], "--update-golden and --case go with --suite"),
        (["--suite", "s.toml", "--checkpoint", "m"], "--checkpoint and --input go with TRACE"),
        (["--suite", "s.toml", "--verify", "tensorflow"], "--verify, --checkpoint and --input go"),
        (["good.h5", "--recompute", "--run", "lenghts=3"], "Did you mean 'lengths'?"),
        (["good.h5", "--atol", "1"], "--atol and --rtol go with --golden"),
        (["good.h5", "--run", "lengths=3"], "go with --recompute or --stream"),
        (["good.h5", "--model-input"], "go with --recompute or --stream"),
        (["good.h5", "--layout", "torch"], "go with --recompute or --stream"),
        (["good.h5", "--explain-budget", "3"], "--explain-budget goes with --vectors"),
        (["good.h5", "--stream", "3", "-j", "2"], "--jobs does not go with --stream"),
        (["good.h5", "--stream", "3", "--atol", "1"], "--atol does not go with --stream"),
        (["good.h5", "bad.h5", "--golden", "g"], "go with one TRACE"),
        (["good.h5", "--only", "finit"], "Did you mean 'finite'?"),
        (["good.h5", "--only", "finite", "--skip", "finite"], "No check is left to do"),
        (["good.h5", "--limit", "saturation"], "--limit needs CHECK=VALUE"),
        (["good.h5", "--limit", "saturatio=1"], "Did you mean 'saturation'?"),
        (["good.h5", "--limit", "finite=1"], "'finite' has no limit to set"),
        (["good.h5", "--limit", "saturation=-1"], "is no number of 0 or more"),
    ],
)
def test_usage(traces, rnnscope, arguments, words):
    result = rnnscope("check", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert words in result.stderr


def test_a_misspelt_array_of_a_tolerance(traces, rnnscope):
    result = rnnscope("check", "good.h5", "--golden", "good.h5", "--atol", "outptus:1e-6")
    assert result.code == 2
    assert "--atol outptus:1e-06" in result.stderr
    assert "did you mean outputs?" in result.stderr


def test_everything_beside_a_trace(traces, rnnscope):
    """The run done again from checkpoint and input, and a stored trace."""
    result = rnnscope(
        "check", "good.h5", "--checkpoint", SAMPLE / "model.ckpt", "--input", SAMPLE / "inputs.npz",
        "--golden", "bad.h5", "--atol", "outputs:1e-6", "--limit", "padding-leak=1e-9",
        "--format", "json",
    )  # fmt: skip
    findings = {one["check"]: one for one in json.loads(result.stdout)["subjects"][0]["findings"]}
    assert result.code == 1
    assert findings["padding-leak"]["status"] == "pass"
    assert findings["padding-leak"]["limit"] == 1e-9
    assert findings["golden"]["place"] == {"sequence": 1, "timestep": 5, "unit": 2}
