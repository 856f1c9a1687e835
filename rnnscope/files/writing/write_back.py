"""Hints to the system that writes files to the disk; where it takes none, nothing happens."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path


def begin_write_back(descriptor: int) -> None:
    """Have what was written to a file put on the disk from now on, without waiting for it.

    A file that must be there before it may replace another is then waited for only briefly.
    """
    begin = _sync_file_range()
    if begin is not None:
        begin(descriptor)


def release_pages(path: Path) -> None:
    """Give back the memory in which the system keeps a file that is about to be replaced.

    The one that is written in its place takes it: on virtual machines memory that was never
    used before is slow to come by. The file stays as it is.
    """
    advise = getattr(os, "posix_fadvise", None)
    if advise is None:
        return
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            advise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


@cache
def _sync_file_range() -> Callable[[int], object] | None:
    """Linux alone has it, and Python has no name for it."""
    import ctypes
    import sys

    if sys.platform != "linux":
        return None
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    whole, write = (0, 0), 2  # from the first byte to the last; SYNC_FILE_RANGE_WRITE
    return lambda descriptor: function(descriptor, *whole, write)
