"""Errors say what was typed: a URL, a quoted ~, lengths that are no steps; and always what next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "sample_data/lstm_float64"
CKPT, INPUTS = SAMPLE / "model.ckpt", SAMPLE / "inputs.npz"
URL = "https://example.org/model.ckpt"

ADDRESS = (
    "error: This is an address, and only files are opened.\n"
    f"  where: {URL}\n"
    "  expected: a path\n"
    "  found: a URL\n"
    f"  next: download it first: curl -fLO {URL}\n"
)
HOME = (
    "error: The shell did not put your home folder in the place of '~': it was quoted.\n"
    "  where: ~/x\n"
    "  expected: a path\n"
    "  found: a name that begins with ~\n"
    '  next: leave the quotes out, or write "$HOME/x"\n'
)


@pytest.mark.parametrize(
    "line",
    [
        ["inspect", "{}"],
        ["run", "{}", INPUTS, "-o", "x.h5"],
        ["run", CKPT, "{}", "-o", "x.h5"],
        ["run", CKPT, INPUTS, "-o", "{}"],
        ["rerun", "{}"],
        ["show", "{}"],
        ["diff", INPUTS, "{}"],
        ["export", "{}", "--to", "keras", "-o", "x.npz"],
        ["pool", "{}", "--method", "mean"],
        ["plot", "{}", "-o", "x.png"],
        ["check", "--suite", "{}"],
    ],
)
@pytest.mark.parametrize(("given", "said"), [(URL, ADDRESS), ("~/x", HOME)])
def test_what_never_was_a_path(rnnscope, tmp_path, monkeypatch, line, given, said):
    monkeypatch.chdir(tmp_path)
    if line[-2:] == ["-o", "{}"] and given == URL:
        said = said.replace("opened", "written")
        said = said.replace(f"download it first: curl -fLO {URL}", "write a file, and upload that")
    done = rnnscope(*(str(part).format(given) for part in line))
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == said
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_called_so_is_opened(rnnscope, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~x.npy").write_bytes(b"\x93NUMPY")
    done = rnnscope("run", CKPT, "~x.npy", "-o", "x.h5")
    assert done.code == 2
    assert "home folder" not in done.stderr


@pytest.mark.parametrize("given", ["3.5,2", "1e1,2", "2.0", ".5"])
def test_lengths_that_are_no_whole_numbers(rnnscope, tmp_path, given):
    done = rnnscope("run", CKPT, INPUTS, "--lengths", given, "-o", tmp_path / "x.h5")
    first = given.partition(",")[0]
    assert done.stderr == (
        "error: --lengths does not understand its value.\n"
        f"  expected: whole numbers of steps, which {first} is not\n"
        f"  found: {given}\n"
        "  next: rnnscope run --help\n"
    )


@pytest.mark.parametrize(
    ("line", "last"),
    [
        (["inspect", "nothere"], "  next: rnnscope help checkpoints"),
        (["run", CKPT, "nothere.npy", "-o", "x.h5"], "  next: rnnscope help inputs"),
        (["plot", "nothere.h5", "-o", "x.gif"], "  next: rnnscope plot --help"),
        (["help", "nothing-of-that"], "  next: rnnscope help --help"),
    ],
)
def test_every_error_has_a_next_step(rnnscope, line, last):
    done = rnnscope(*line)
    assert done.code == 2
    assert done.stderr.splitlines()[-1] == last


@pytest.mark.parametrize("spelled", [["--format", "json"], ["--format=json"]])
def test_errors_under_json_are_json(rnnscope, spelled):
    done = rnnscope("inspect", "nothere", *spelled)
    told = json.loads(done.stdout)
    assert done.code == 2
    assert done.stderr.startswith("error: The checkpoint does not exist.\n")
    assert {key: told[key] for key in ("report", "kind", "what", "where", "next")} == {
        "report": "error",
        "kind": "CheckpointError",
        "what": "The checkpoint does not exist.",
        "where": "nothere",
        "next": "rnnscope help checkpoints",
    }


def test_a_line_that_is_none_is_json_too(rnnscope):
    done = rnnscope("inspect", "--format", "json")
    told = json.loads(done.stdout)
    assert (told["report"], told["what"]) == ("error", "Missing argument 'FILE'.")
    assert told["next"] == "rnnscope inspect --help"
    assert rnnscope("inspect").stdout == ""
