"""Runs that are refused: always exit 2 and a message, however cold the caches are."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

SAMPLES = Path(__file__).parents[2] / "sample_data"
TIMES = 9


def refuse(arguments, folder):
    """A run in a process of its own that finds no compiled module."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "rnnscope", "run", *map(str, arguments)],
        capture_output=True, text=True, check=False, env=env, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
def test_refusals_with_cold_caches(tmp_path):
    """Threads of the run are still at work when the message is printed."""
    x = np.load(SAMPLES / "lstm_float64/inputs.npz")["x"]
    x[1, 3, 2] = np.nan
    np.savez(tmp_path / "nan.npz", x=x)
    np.savez(tmp_path / "narrow.npz", x=np.ones((2, 10, 5)))
    checkpoint = SAMPLES / "lstm_float64/model.ckpt"
    cases = {
        "not a finite number": [checkpoint, tmp_path / "nan.npz"],
        "wrong number of features": [checkpoint, tmp_path / "narrow.npz"],
        "cannot be opened": [checkpoint, tmp_path / "none.npz"],
    }
    chosen = [[*cases.items()][number % len(cases)] for number in range(TIMES)]
    runs = [
        (said, [*case, "-o", tmp_path / f"{number}.h5"])
        for number, (said, case) in enumerate(chosen)
    ]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda run: (run[0], refuse(run[1], tmp_path / "cold")), runs))
    wrong = [
        (made.returncode, made.stderr[-400:])
        for said, made in done
        if made.returncode != 2 or said not in made.stderr or "Traceback" in made.stderr
    ]
    assert not wrong


def test_errors_are_printed_without_importing_anything_more():
    """What prints them is there before a command begins; a second importer would find it half."""
    code = (
        "import sys, rnnscope.cli.main; before = set(sys.modules); "
        "from rnnscope.errors import InputError; "
        "tell = sys.modules['rnnscope.cli.terminal.error_output'].render_error; "
        "tell(InputError('a', where='b\\nc', hint='d')); "
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["run", "", "in.npz", "-o", "t.h5"], "argument 1"),
        (["run", "m.ckpt", "", "-o", "t.h5"], "argument 2"),
        (["run", "m.ckpt", "in.npz", "-o", ""], "-o"),
        (["run", "m.ckpt", "in.npz", "--output="], "--output"),
        (["run", "m.ckpt", "in.npz", "-o", "t.h5", "--lengths", ""], "--lengths"),
        (["diff", "", "b.h5"], "argument 1"),
        (["inspect", ""], "argument 1"),
        (["check", "--suite", ""], "--suite"),
        (["export", "t.h5", "--to", "torch", "-o", ""], "-o"),
        (["pool", ""], "argument 1"),
        (["rerun", ""], "argument 1"),
    ],
)
def test_an_empty_argument_is_refused(rnnscope, arguments, name):
    """As a path it would mean the current folder."""
    result = rnnscope(*arguments)
    assert result.code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[:2] == ["error: An argument is empty.", f"  where: {name}"]


def test_the_end_of_something_is_no_interrupt(rnnscope, monkeypatch):
    """A module cut off in the cache of Python ends in EOFError, which click takes for Ctrl-D."""

    def cut_off(*_, **__):
        raise EOFError("marshal data too short")

    monkeypatch.setattr("rnnscope.cli.main.import_module", cut_off)  # where commands are found
    found = rnnscope("inspect", SAMPLES / "lstm_float64/model.ckpt")
    assert found.code == 2
    assert "EOFError: marshal data too short" in found.stderr
    assert "interrupted" not in found.stderr
