"""A process that works for long: nothing is held longer than it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median

import pytest
from fuzz import long_use
from fuzz.long_use import ALLOCATOR, Held, held, one_round

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what is held"),
]

ROOM = 2**20
"""Bytes in all, between the first rounds and the last; 0.02 to 0.4 MB were seen."""

ROUNDS = 18


def growth(*options: str) -> int:
    """Bytes, by medians; handles must be the same from the first round to the last.

    In a process of its own: in this one TensorFlow and other tests' arrays come and go, and a heap
    of a gigabyte hides a state, or shows one that nobody keeps.
    """
    done = subprocess.run(
        [sys.executable, long_use.__file__, "--json", f"--rounds={ROUNDS}", *options],
        env={**os.environ, **ALLOCATOR},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = [Held(**json.loads(line)) for line in done.stdout.splitlines()]
    assert len(seen) == ROUNDS
    assert seen[-1].handles() == seen[0].handles()
    middle = [median(one.bytes for one in part) for part in (seen[3:8], seen[-5:])]
    return middle[1] - middle[0]


def test_handles_threads_and_memory_are_flat():
    """`python tests/fuzz/long_use.py` does the same a thousand times."""
    assert growth() < ROOM


def test_memory_that_is_kept_is_seen():
    assert growth(f"--keep={2**18}") > 2 * ROOM


def test_what_is_kept_is_seen(tmp_path):
    """The count is one of this process, so that a leak would show."""
    one_round(tmp_path)
    before = held()
    with (tmp_path / "t.h5").open("rb"):
        assert held().files == before.files + 1
    assert held().handles() == before.handles()
