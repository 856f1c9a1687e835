"""``rnnscope conform``: what it prints, writes and refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "conforming/engine_of_mutants.py"


def test_an_engine_that_agrees(rnnscope):
    done = rnnscope("conform", "--only", "rnn/layout", "--", sys.executable, ENGINE)
    assert (done.code, done.stderr) == (0, "")
    head, _, rest = done.stdout.partition("\n")
    assert head == "verdict  all of 4 cases agree"
    assert "rnn/layout      4      4                        0.00\n" in rest


def test_an_engine_that_differs(rnnscope):
    done = rnnscope("conform", "--only", "lstm/sizes/units-129", "--", sys.executable, ENGINE,
                    "flaggems-5014")  # fmt: skip
    assert done.code == 1
    assert "it left out the units beyond 128 (1 case)\n" in done.stdout
    assert "step 0, unit 128: expected" in done.stdout


def test_json(rnnscope):
    done = rnnscope("conform", "--only", "lstm/initial", "--format", "json", "--",
                    sys.executable, ENGINE, "onnx-7664")  # fmt: skip
    told = json.loads(done.stdout)
    assert (done.code, told["report"], told["verdict"]) == (1, "conform", "differ")
    assert told["families"] == [
        {"family": "lstm/initial", "cases": 4, "agree": 0, "differ": 4, "not_offered": 0,
         "error": told["families"][0]["error"]}
    ]  # fmt: skip


def test_cases_are_written_answered_elsewhere_and_judged(rnnscope, tmp_path):
    written, answers = tmp_path / "cases.jsonl", tmp_path / "answers.jsonl"
    done = rnnscope("conform", "--write-cases", written, "--only", "gru/bias")
    assert (done.code, done.stdout) == (0, f"wrote {written} (2 cases)\n")
    again = rnnscope("conform", "--write-cases", written, "--only", "gru/bias")
    assert again.code == 2
    assert "exists already" in again.stderr
    assert "name another file with --write-cases, or replace it with --force" in again.stderr
    forced = rnnscope("conform", "--write-cases", written, "--only", "gru/bias", "-f", "-q")
    assert (forced.code, forced.stdout) == (0, "")
    import subprocess

    made = subprocess.run([sys.executable, ENGINE], input=written.read_bytes(),
                          capture_output=True, check=True)  # fmt: skip
    answers.write_bytes(b"loading ...\n" + made.stdout)
    assert rnnscope("conform", "--answers", answers, "--only", "gru/bias").code == 0
    # A case without an answer is no case that agrees.
    rest = rnnscope("conform", "--answers", answers, "--only", "gru/[bc]*")
    assert rest.code == 1
    assert "the file has no answer to it" in rest.stdout


def test_a_list_of_cases(rnnscope):
    done = rnnscope("conform", "--list", "--only", "lstm/sizes")
    assert done.code == 0
    assert done.stdout.splitlines()[0] == "13 cases, seed 0"
    assert "lstm/sizes/units-512                float32    512" in done.stdout
    whole = rnnscope("conform", "--list").stdout.splitlines()
    assert len(whole) == 237 + 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give one of ENGINE, -- COMMAND, --answers, --list, --write-cases; found none"),
        (("keras", "--list"), "found ENGINE and --list"),
        (("--",), "a COMMAND stands behind --"),
        (("onnxruntme",), "did you mean onnxruntime?"),
        (("./engine",), "a program stands behind --: -- ./engine"),
        (("--list", "--only", "lsmt/*"), "No case has such a name."),
        (("--answers", "/nowhere"), "The answers cannot be read."),
        (("--answers", __file__), "The file holds no answer."),
        (("rnnscope", "--force"), "--force goes with --write-cases; found ENGINE"),
        (("rnnscope", "--time-limit", "9"), "--time-limit goes with -- COMMAND; found ENGINE"),
        (("--list", "--quiet"), "--quiet goes with ENGINE or -- COMMAND or"),
        (("--write-cases", "c", "--format", "json"), "--format goes with ENGINE or"),
        (("--list", "--format", "markdown"), "--list is printed as text or json"),
        (("--", "no-such-program"), "The command cannot be started."),
        (("torch:mps",), "PyTorch"),
    ],
)
def test_refusals(rnnscope, arguments, said):
    done = rnnscope("conform", *arguments)
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_quiet_says_what_is_wrong_alone(rnnscope):
    done = rnnscope("conform", "rnnscope", "--quiet", "--only", "gru/initial")
    assert (done.code, done.stdout) == (0, "")
    differs = rnnscope("conform", "rnnscope", "-q", "--only", "lstm/clip/c-beyond")
    assert differs.code == 1
    assert differs.stdout.startswith("verdict  1 of 1 case differs\n")
    assert "corpus   1 case, seed 0" in differs.stdout
    one = rnnscope("conform", "rnnscope", "--only", "gru/initial/given")
    assert one.stdout.startswith("verdict  the one case agrees\n")
