"""Suites: cases in TOML, run and checked, with golden traces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import h5py
import numpy as np
import pytest

from rnnscope.cli.running.run import command as run_command
from rnnscope.errors import OptionError
from rnnscope.record.suites.case import do_case
from rnnscope.record.suites.suite_file import RUN_KEYS, read_suite

SAMPLES = Path(__file__).resolve().parents[3] / "sample_data"

SUITE = """
[defaults]
run = { gates = true }

[[case]]
name = "small"
checkpoint = "small/model.ckpt"
input = "small/inputs.npz"
checks = { skip = ["length-cuts-input"] }
limits = { saturation = 0.5 }
golden = "golden/small.h5"
tolerances = { atol = 1e-7, rtol = { "final/*" = 1e-6 } }
recompute = true

[[case]]
name = "keras"
checkpoint = "keras/*.h5"
input = "keras/inputs.npz"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with two checkpoints, their inputs, and a suite."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAMPLES / "lstm_float32", "small")
    shutil.copytree(SAMPLES / "keras_stack", "keras")
    Path("rnnscope.toml").write_text(SUITE)
    return tmp_path


def suite(rnnscope, *arguments):
    return rnnscope("check", "--suite", "rnnscope.toml", "--format", "json", *arguments)


def subjects(result):
    return {subject["name"]: subject for subject in json.loads(result.stdout)["subjects"]}


def checks_of(subject, check):
    return {one["layer"]: one["status"] for one in subject["findings"] if one["check"] == check}


def test_golden_traces_are_written_only_when_asked(folder, rnnscope):
    """Missing they are an error; asked for they are written; then they are compared with."""
    result = suite(rnnscope)
    assert result.code == 2
    missing = subjects(result)["small"]["error"]
    assert missing.startswith("The golden trace of the case is not there.")
    assert not Path("golden").exists()

    result = suite(rnnscope, "--update-golden")
    assert result.code == 0
    written = subjects(result)["small"]["changed"]
    assert written == [str(Path("golden/small.h5")) + " was written"]
    assert sorted(path.name for path in Path("golden").iterdir()) == ["small.h5"]

    result = suite(rnnscope)
    assert result.code == 0
    found = subjects(result)
    assert checks_of(found["small"], "golden") == {"rnn/lstm_cell": "pass"}
    assert checks_of(found["small"], "padding-leak") == {"rnn/lstm_cell": "pass"}
    assert checks_of(found["keras"], "padding-leak") == dict.fromkeys(
        ["lstm", "lstm_1", "lstm_2"], "skip"
    )


def test_a_golden_trace_that_differs_fails_and_can_be_replaced(folder, rnnscope):
    suite(rnnscope, "--update-golden")
    before = Path("golden/small.h5").read_bytes()
    with h5py.File("golden/small.h5", "r+") as file:
        file["rnn/lstm_cell/c"][0, 3, 2] += 0.5
    result = suite(rnnscope, "--case", "small")
    assert result.code == 1
    (finding,) = (one for one in subjects(result)["small"]["findings"] if one["status"] == "fail")
    assert finding["check"] == "golden"
    assert finding["place"] == {"sequence": 0, "timestep": 3, "unit": 2}

    result = suite(rnnscope, "--update-golden", "--case", "small")
    first, *changes = subjects(result)["small"]["changed"]
    assert result.code == 0
    assert "was replaced: differ: 1 of " in first
    assert any(line.startswith("rnn/lstm_cell c: ") for line in changes)

    kept = Path("golden/small.h5").read_bytes()
    assert len(kept) == len(before)
    (line,) = subjects(suite(rnnscope, "--update-golden", "--case", "small"))["small"]["changed"]
    assert line.endswith("stays: the new trace is within the tolerances")
    assert Path("golden/small.h5").read_bytes() == kept


def test_a_misspelt_array_of_a_tolerance_is_an_error(folder, rnnscope):
    """It would leave the array with another tolerance than the suite says."""
    suite(rnnscope, "--update-golden")
    Path("rnnscope.toml").write_text(SUITE.replace('"final/*" =', '"fianl/c" ='))
    result = suite(rnnscope, "--case", "small")
    assert result.code == 2
    error = subjects(result)["small"]["error"]
    assert error.startswith("A tolerance is for an array that is not there.")
    assert "fianl/c" in error
    assert "did you mean final/c?" in error


def test_a_trace_that_fails_its_checks_becomes_no_golden_one(folder, rnnscope):
    result = suite(rnnscope, "--update-golden", "--case", "small", "--limit", "exploding-c=0.001")
    assert result.code == 1
    (line,) = subjects(result)["small"]["changed"]
    assert line.endswith("was not written: a check of the new trace fails")
    assert not Path("golden/small.h5").exists()


def test_cases_run_in_processes_beside_each_other(folder, rnnscope):
    """Results are those of one process to the last digit, in the order of the file.

    The batch is split as in one process, and fewer of its parts are computed at once: BLAS would
    sum parts of another size in another order.
    """
    suite(rnnscope, "--update-golden")
    told = []
    for jobs in (1, 2):
        result = suite(rnnscope, "-j", jobs, "--junit", "report.xml")
        assert result.code == 0
        found = json.loads(result.stdout)["subjects"]
        for subject in found:
            subject.pop("seconds")
        told.append(found)
    assert told[0] == told[1]
    root = ET.parse("report.xml").getroot()  # noqa: S314  # our own
    assert [suite.get("name") for suite in root] == ["small", "keras"]


def test_a_case_that_cannot_be_run_is_an_error_among_others(folder, rnnscope):
    np.save("wrong.npy", np.zeros((2, 3, 99), np.float32))
    text = SUITE.replace('input = "keras/inputs.npz"', 'input = "wrong.npy"')
    Path("rnnscope.toml").write_text(text.replace('golden = "golden/small.h5"', ""))
    result = suite(rnnscope)
    found = subjects(result)
    assert result.code == 2
    assert (found["small"]["status"], found["keras"]["status"]) == ("pass", "error")
    assert found["keras"]["error"].startswith("The input has the wrong number of features.")


def test_a_glob_over_checkpoints_makes_a_case_of_each(folder, rnnscope):
    shutil.copyfile("keras/model.h5", "keras/other.h5")
    Path("rnnscope.toml").write_text(SUITE + 'golden = "golden/{stem}.h5"\n')
    result = suite(rnnscope, "--update-golden", "--case", "keras*")
    assert list(subjects(result)) == ["keras [[]model]".replace("[[]", "["), "keras [other]"]
    assert sorted(path.name for path in Path("golden").iterdir()) == ["model.h5", "other.h5"]


def test_options_of_a_run(folder):
    """Options of layers are given for all, or by layer; paths are those of the suite's folder."""
    text = """
    [[case]]
    checkpoint = "small/model.ckpt"
    input = "small/inputs.npz"
    run = { lengths = [9, 4, 1], override = true, forget_bias = { "rnn/*" = 0.5 } }
    """
    Path("rnnscope.toml").write_text(text)
    (case,) = read_suite(folder / "rnnscope.toml")
    assert case.name == "case 1"
    assert case.recipe["lengths"] == (9, 4, 1)
    assert case.recipe["forget_bias"] == (("rnn/*", 0.5),)
    subject = do_case(case)
    assert subject.error == ""
    assert "2 of 3 sequences are shorter than 9 steps" in subject.padding[0].verdict


def test_the_keys_of_a_run_are_flags_of_the_command():
    assert set(RUN_KEYS) <= {option.name for option in run_command.params}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("limits", "limit", "Did you mean 'limits'?"),
        ("[defaults]", "[default]", "Did you mean 'defaults'?"),
        ("gates", "gate", "Did you mean 'gates'?"),
        ("skip = [", "skp = [", "Did you mean 'skip'?"),
        ('"length-cuts-input"', '"length-cut-input"', "Did you mean 'length-cuts-input'?"),
        ("saturation =", "saturatio =", "Did you mean 'saturation'?"),
        ("atol =", "atoll =", "Did you mean 'atol'?"),
        ("gates = true", "gates = 1", "expected: true or false"),
        ("recompute = true", 'recompute = "yes"', "expected: bool"),
        ("keras/*.h5", "keras/*.h6", "No checkpoint fits the suite's glob"),
        ('name = "keras"', 'name = "small"', "Two cases of the suite have one name"),
        ('input = "keras/inputs.npz"', "", "A case needs 'input'"),
        ("[[case]]", "[[case]", "The suite is no TOML"),
        ("gates = true", 'engine = "fast"', "one of auto, numpy, compiled, reference"),
        ("gates = true", 'cell_clip = "no"', "a number above 0"),
        ("gates = true", 'padding = "hol"', "one of zeros, hold, none"),
        ("recompute = true", 'verify = "jax"', "tensorflow, onnxruntime"),
        ("atol = 1e-7", "atol = -1", "a number of 0 or more"),
    ],
)
def test_mistakes_are_named(folder, rnnscope, old, new, words):
    assert old in SUITE
    Path("rnnscope.toml").write_text(SUITE.replace(old, new))
    result = suite(rnnscope)
    assert (result.code, json.loads(result.stdout)["report"]) == (2, "error")
    assert words in result.stderr


@pytest.mark.parametrize("text", ["", "[defaults]\n"])
def test_a_suite_without_cases(folder, text):
    Path("rnnscope.toml").write_text(text)
    with pytest.raises(OptionError, match="The suite has no case"):
        read_suite(folder / "rnnscope.toml")


def test_a_suite_that_is_not_there(rnnscope, tmp_path):
    result = rnnscope("check", "--suite", tmp_path / "none.toml")
    assert (result.code, result.stdout) == (2, "")
    assert "The suite cannot be read." in result.stderr


def test_one_golden_trace_for_several_checkpoints_is_refused(folder, rnnscope):
    shutil.copyfile("keras/model.h5", "keras/other.h5")
    Path("rnnscope.toml").write_text(SUITE + 'golden = "golden/one.h5"\n')
    result = suite(rnnscope)
    assert result.code == 2
    assert "{stem} in the path of the golden trace" in result.stderr
