"""Damaged copies of every kind of file: an answer or a named error, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.samples import Sample
from fuzz.try_files import make_try

FUZZER = Path(__file__).parents[2] / "fuzz" / "try_files.py"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are forked")


@linux
@pytest.mark.slow
def test_samples_do_their_work_and_damaged_copies_end_well():
    """All readers and commands under the audit hook; what is refused is refused by name.

    In a process of its own: what pytest has imported has threads, which a fork does not take.
    """
    options = ("--seed", "1", "--tries", "120", "--seconds", "60", "--every", "4")
    done = subprocess.run(
        [sys.executable, str(FUZZER), *options],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    refused = [line for line in done.stdout.splitlines() if line.startswith("sample ")]
    expected = [line.startswith("sample torch_") and line.endswith(": 2") for line in refused]
    assert all(expected), done.stdout
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"in all +(\d+)", done.stdout)[1]) > 20


def test_tries_can_be_made_again(tmp_path):
    """A number and a seed are a try."""
    folder = tmp_path / "sample"
    folder.mkdir()
    for name in ("a.npy", "b.npy"):
        (folder / name).write_bytes(b"x")
    samples = [
        Sample("npy", folder, (("inspect", "a.npy"), ("inspect", "b.npy")), ("a.npy", "b.npy"))
    ]
    made = [make_try(7, 3, samples, tmp_path / name) for name in "ab"]
    assert made[0].command == made[1].command
    assert made[0].target == made[1].target
    assert made[0].rng.random() == made[1].rng.random()
