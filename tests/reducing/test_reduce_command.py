"""``rnnscope diff --reduce`` from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reducing.pairs import read_case, traced
from reducing.test_reduce import changed

from rnnscope.report.json_schemas import report_schema


@pytest.fixture
def pair(tmp_path, monkeypatch):
    made = traced(tmp_path)
    np.savez(tmp_path / "theirs.npz", **changed(made.states, "c", (1, 2, 3)))
    np.savez(tmp_path / "same.npz", c=made.states["c"], m=made.states["m"])
    monkeypatch.chdir(tmp_path)
    return made


def test_the_case_is_written_and_told(pair, rnnscope):
    done = rnnscope("diff", "ours.h5", "theirs.npz", "--reduce", "case.npz")
    assert (done.code, done.stderr) == (1, "")
    text = " ".join(done.stdout.split())
    assert "from 3 x 7 x 5 to 1 sequence, 1 step, 1 unit: c of unit 3 differs by 0.25" in text
    assert "sequence 1, timestep 2, from the state that A has before" in text
    assert "look at it before you send it" in text
    assert "### c of unit 3 differs by 0.25 (lstm)" in text
    assert read_case("case.npz")["b/c"].shape == (1, 1, 1)
    lines = [line.strip() for line in done.stdout.splitlines()]
    commands = [line for line in dict.fromkeys(lines) if line.startswith("rnnscope ")]
    # Whoever has the case alone does what the report says.
    codes = [
        rnnscope(*command.split()[1:]).code for command in commands if "explain" not in command
    ]
    assert codes == [1, 0, 0]


def test_a_case_that_is_run_over_itself_names_what_neither_side_reads(pair, rnnscope):
    """Its weights and its recipe are the checkpoint's: only what was compared is left."""
    rnnscope("diff", "ours.h5", "theirs.npz", "--reduce", "case.npz")
    done = rnnscope("run", "case.npz", "case.npz", "-o", "t.h5", "--format", "json")
    assert (done.code, done.stderr) == (0, "")
    unread = json.loads(done.stdout)["input"]["unread"]
    assert unread == ["b/initial/c", "b/initial/m", "a/c", "a/m", "b/c", "b/m"]
    np.savez("x.npz", **read_case("case.npz"))
    done = rnnscope("run", "case.npz", "x.npz", "-o", "t.h5", "-f", "--format", "json")
    unread = json.loads(done.stdout)["input"]["unread"]
    assert {"recipe", "a/c", "b/c"} < {*unread}, "another file's own are read by nobody"


@pytest.mark.parametrize("width", [60, 100])
def test_lines_keep_to_the_terminal(pair, width):
    import rnnscope

    found = rnnscope.diff("ours.h5", "theirs.npz", reduce="case.npz")
    lines = found.render("text", width=width).splitlines()
    start = lines.index("smallest case")
    told = lines[start : lines.index("the difference again")]
    assert max(map(len, told)) <= width


def test_json_and_markdown(pair, rnnscope):
    jsonschema = pytest.importorskip("jsonschema")
    done = rnnscope("diff", "ours.h5", "theirs.npz", "--reduce", "case.npz", "--format", "json")
    told = json.loads(done.stdout)
    jsonschema.validate(told, report_schema("diff"))
    reduced = told["reduced"]
    assert (reduced["timesteps"], reduced["unit"], reduced["difference"]) == ([2], 3, 0.25)
    assert [one["differs"] for one in reduced["tried"]] == [True] * len(reduced["tried"])
    done = rnnscope("diff", "ours.h5", "theirs.npz", "--reduce", "c2.npz", "--format", "markdown")
    assert "| c of unit 3 |" in done.stdout
    done = rnnscope("diff", "ours.h5", "theirs.npz", "--reduce", "c3.npz", "--format", "junit")
    assert "differs by 0.25" in done.stdout


def test_nothing_to_reduce(pair, rnnscope, tmp_path):
    done = rnnscope("diff", "ours.h5", "same.npz", "--reduce", "case.npz")
    assert (done.code, done.stderr) == (0, "")
    assert "no case is written: nothing differs" in done.stdout
    assert not (tmp_path / "case.npz").exists()


def test_quiet_writes_and_says_nothing(pair, rnnscope, tmp_path):
    done = rnnscope("diff", "ours.h5", "theirs.npz", "--reduce", "case.npz", "-q")
    assert (done.code, done.stdout, done.stderr) == (1, "", "")
    done = rnnscope("diff", "ours.h5", "theirs.npz", "--reduce", "case.npz", "-q")
    assert done.code == 2
    assert "exists already" in done.stderr
    assert "--force" in done.stderr
    done = rnnscope("diff", "ours.h5", "theirs.npz", "--reduce", "case.npz", "-q", "-f")
    assert done.code == 1
