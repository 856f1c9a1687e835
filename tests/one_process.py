"""Thousands of tests share a process: what one leaves must not slow down those that follow."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

OBJECTS_BEFORE_GARBAGE = 20_000
"""How many are made before garbage is looked for."""

MODULES_BEFORE_FREEZING = 100
"""How many more are imported before all that is there is set aside once more."""

SET_ASIDE = pytest.StashKey[int]()
"""How many modules were imported when that was last done."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item):
    """Garbage is not looked for among what is imported and collected: a million objects that stay.

    That took a tenth of all time, and most of it in files that come late in a process.
    """
    if len(sys.modules) >= item.config.stash.get(SET_ASIDE, 0) + MODULES_BEFORE_FREEZING:
        item.config.stash[SET_ASIDE] = len(sys.modules)
        gc.set_threshold(OBJECTS_BEFORE_GARBAGE, 10, 10)
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def no_thread_goes_on():
    """A thread that a file's tests leave behind would take its time from all that come after it."""
    yield
    for thread in threading.enumerate():
        if thread.name == "background":
            thread.join(10)
            assert not thread.is_alive(), f"{thread} goes on: it was started by a test of this file"
