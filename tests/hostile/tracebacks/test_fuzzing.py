"""Damaged copies of every kind of file: an answer or a named error, and nothing else."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from fuzz.samples import make_samples
from fuzz.try_files import check_samples, fuzz, import_everything, make_try

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are forked"),
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    import_everything()
    return make_samples(tmp_path_factory.mktemp("samples"))


def test_every_command_over_every_sample_does_nothing_else(samples, tmp_path, monkeypatch, capfd):
    """All readers and commands under the audit hook; what is refused is refused by name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check_samples(samples[::4])
    told = capfd.readouterr().out
    refused = [line for line in told.splitlines() if line.startswith("sample ")]
    assert all(line.startswith("sample torch_") and line.endswith(": 2") for line in refused), told


def test_damaged_copies(samples, monkeypatch):
    before = os.environ.get("XDG_CACHE_HOME", "")
    tally = fuzz(samples, range(120), seed=1, seconds=120)
    monkeypatch.setenv("XDG_CACHE_HOME", before)
    assert not tally.finds
    assert sum(tally.tries.values()) > 30


def test_tries_can_be_made_again(samples, tmp_path):
    """A number and a seed are a try."""
    made = [make_try(7, 3, samples, tmp_path / name) for name in "ab"]
    assert made[0].command == made[1].command
    assert made[0].target == made[1].target
    assert made[0].rng.random() == made[1].rng.random()
    shutil.rmtree(tmp_path / "a")
