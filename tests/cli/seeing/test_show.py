"""``rnnscope show`` as users meet it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from seen_traces import waves, write_trace

from rnnscope.cli.options.selection import RANKINGS
from rnnscope.seeing import RANKINGS as KNOWN


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trace("t.h5", lengths=[12, 7, 3])
    return "t.h5"


def test_choices_are_those_of_the_tables():
    assert tuple(KNOWN) == RANKINGS


def test_a_pipe_has_numbers_and_a_choice_of_text(path, rnnscope):
    numbers = rnnscope("show", path, "--state", "c", "--unit", "4", "--unit", "1", "--steps", "0:3")
    assert (numbers.code, numbers.stderr) == (0, "")
    table = np.loadtxt(numbers.stdout.splitlines(), dtype=np.float32)
    np.testing.assert_array_equal(table[:, 0], [1, 4])
    np.testing.assert_array_equal(table[:, 1:], waves()["c"][0, :3, [1, 4]])
    text = rnnscope("show", path, "--format", "text", "--sequence", "-1")
    assert "m of rnn/lstm, sequence 2: 6 units x 12 timesteps" in text.stdout
    assert text.stdout.isascii()


def test_json_has_the_numbers_and_the_tree(path, rnnscope):
    result = rnnscope("show", path, "--format", "json", "--rank", "change", "--sequence", "1")
    document = json.loads(result.stdout)
    assert (document["report"], document["ranked"]) == ("show", True)
    units = document["heatmap"]["units"]
    assert units == document["ranking"]["units"]
    assert document["heatmap"]["valid"] == [True] * 7 + [False] * 5
    np.testing.assert_array_equal(
        np.array(document["heatmap"]["low"], np.float32), waves()["m"][1].T[units]
    )
    layer = document["trace"]["layers"][0]
    assert layer["options"][1] == {"name": "forget_bias", "value": 1.0, "origin": "graph"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--layer", "x"], "expected: rnn/lstm"),
        (["--state", "q"], "expected: c, m, outputs, i, f, g, o"),
        (["--state", "output"], "next: did you mean outputs?"),
        (["--sequence", "3"], "where: --sequence 3\n  expected: 0 to 2"),
        (["--steps", "20:"], "where: --steps 20:\n  expected: some of 0 to 11"),
        (["--unit", "6"], "where: --unit 6\n  expected: some of 0 to 5"),
        (["--unit", "a"], "expected: 0:16"),
        (["--labels", "none.txt"], "where: none.txt"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(path, rnnscope, arguments, expected):
    result = rnnscope("show", path, *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert expected in result.stderr


def on_a_terminal(columns, *arguments, **environment):
    """What a command writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    known = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "rnnscope", *arguments],
        stdout=theirs,
        env=known | {"COLUMNS": str(columns), "TERM": "xterm"} | environment,
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:  # Linux: the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    return written.decode("utf-8").replace("\r\n", "\n")


def test_on_a_terminal_there_are_colours_and_its_width(path):
    text = on_a_terminal(70, "show", path)
    assert "\x1b[38;5;" in text
    assert "▀" in text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colours_a_terminal_has_digits(path, environment):
    text = on_a_terminal(40, "show", path, **environment)
    assert text.isascii()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 40
    assert "digits: tenths of" in text
