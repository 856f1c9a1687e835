"""``rnnscope plot`` as users meet it; pictures themselves are in tests/seeing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from seen_traces import waves, write_trace

from rnnscope.cli.seeing.plot import KINDS
from rnnscope.seeing.plots import PLOTS

pytest.importorskip("matplotlib")


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arrays = waves()
    write_trace("t.h5", arrays, lengths=[12, 7, 3])
    arrays["m"][0, 4, 3] += 0.5
    write_trace("u.h5", arrays, lengths=[12, 7, 3])
    return "t.h5"


def test_choices_are_those_of_the_table():
    assert tuple(PLOTS) == KINDS


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_suffix_says_what_is_written(path, rnnscope, suffix):
    result = rnnscope("plot", path, "-o", f"x.{suffix}", "--size", "3x2", "--dpi", "50")
    assert (result.code, result.stderr) == (0, "")
    pixels = ", 150 x 100 pixels" if suffix == "png" else ""
    assert result.stdout == f"wrote x.{suffix} (heatmap, 3 x 2 inches{pixels})\n"
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert Path(f"x.{suffix}").read_bytes().startswith(start)


def test_two_traces_are_a_difference(path, rnnscope):
    result = rnnscope("plot", path, "u.h5", "-o", "x.png", "--format", "json")
    document = json.loads(result.stdout)
    assert (document["kind"], document["output"]) == ("diff", "x.png")
    assert document["notes"] == ["first: m of sequence 0, timestep 4, unit 3: A - B = -0.5"]
    result = rnnscope("plot", path, "u.h5", "-o", "x.png", "--force", "--atol", "1")
    assert result.stdout.endswith("note: the same within the tolerance\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-o", "x.gif"], "found: .gif"),
        (["-o", "no/x.png"], "The folder for the picture does not exist."),
        (["-o", "x.png", "--kind", "gates", "--unit", "0:2"], "where: --unit 0:2"),
        (["-o", "x.png", "--kind", "diff"], "needs two traces"),
        (["u.h5", "-o", "x.png", "--kind", "norm"], "does not take this"),
        (["-o", "x.png", "--size", "big"], "where: --size big"),
    ],
)
def test_what_cannot_be_drawn_is_refused(path, rnnscope, arguments, expected):
    result = rnnscope("plot", path, *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert expected in result.stderr
    assert not Path("x.png").exists()


def test_quiet_prints_nothing(path, rnnscope):
    result = rnnscope("plot", path, "-o", "x.png", "--kind", "units", "--quiet")
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
