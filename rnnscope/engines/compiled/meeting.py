"""Where threads that share a step wait for one another; `meeting_code` writes how.

The units of a few rows are split over threads, and each stage of a step needs what all of them
made in the stage before. A step is over in microseconds, so they meet by counting in one word of
memory: it only grows, and a stage is over when it has grown by as many as there are threads. Who
waits spins, and after some time lets others run, since on a busy machine the one that is waited
for may be waiting for this very core. Where that happens too often, the threads part after a
step that is done, and one goes on alone: `DONE` tells how far they came.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

import numpy as np

from rnnscope.engines.workspace import aligned
from rnnscope.model.cell import Array

COUNT, LATE, DONE = 0, 8, 16
"""Words of the place where threads meet, each in a cache line of its own: how many have come, how
often one was waited for too long, and after how many steps they parted (or `TOGETHER`)."""

TOGETHER = 2**62

SPINS = 1000
"""Looks at the word before others are let run: some 10 to 40 microseconds."""

PRODUCTS_A_SPIN = 512
"""Multiplications that take about as long as a look: who waits for as long as a step takes is
counted as late."""


def new_place() -> Array:
    """Memory to meet in."""
    place = aligned((24,), np.int64)
    place[DONE] = TOGETHER
    return place


@cache
def letting_others_run() -> int:
    """The address of the system's function that lets other threads run; 0 if there is none."""
    try:
        if sys.platform == "win32":
            function: Any = ctypes.WinDLL("kernel32").SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def patience(products: int) -> int:
    """Looks that a thread waits before that is counted, where a step multiplies so often."""
    return max(SPINS, products // PRODUCTS_A_SPIN)
