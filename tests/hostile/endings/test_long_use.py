"""A process that works for long: nothing is held longer than it is needed."""

from __future__ import annotations

import sys

import pytest
from fuzz.long_use import held, one_round, use

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what is held"),
]

ROOM = 4 * 2**20
"""Bytes in all: a state of the sample kept at each round would be more by the end."""


def test_handles_threads_and_memory_are_flat(tmp_path):
    """`python tests/fuzz/long_use.py` does the same a thousand times."""
    first, last = use(10, tmp_path)
    assert last.handles() == first.handles()
    assert last.bytes - first.bytes < ROOM


def test_what_is_kept_is_seen(tmp_path):
    """The count is one of this process, so that a leak would show."""
    one_round(tmp_path)
    before = held()
    with (tmp_path / "t.h5").open("rb"):
        assert held().files == before.files + 1
    assert held().handles() == before.handles()
