"""Hints to the system that writes files to the disk; where it takes none, nothing happens."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

WRITTEN_BACK_AFTER = 60
"""Seconds after which the system has put a file on the disk, where it does not tell: Linux begins
after 30."""


def begin_write_back(descriptor: int) -> None:
    """Have what was written to a file put on the disk from now on, without waiting for it.

    A file that must be there before it may replace another is then waited for only briefly.
    """
    call = _sync_file_range()
    if call is not None:
        call(descriptor, _WRITE)


def make_safe_to_rename(descriptor: int) -> None:
    """Wait until a written file may take another one's name: a crash leaves either of them whole.

    File systems with a journal put the rename on the disk after what they know of the file's
    content (ext4, XFS), and make the disk empty its cache in between. So it is enough that the
    content has reached the disk; nobody waits for the journal, nor for that cache. Elsewhere the
    file is forced to the disk (fsync).

    Raises
    ------
    OSError
        The disk is full, or failed.
    """
    call = _sync_file_range()
    if call is not None and _has_journal(descriptor) and call(descriptor, _WRITE_AND_WAIT) == 0:
        return
    os.fsync(descriptor)


def _has_journal(descriptor: int, sys: Path = Path("/sys")) -> bool:
    """Whether a file lies on ext4 with a journal, or on XFS; False where the system does not tell.

    Both are named after the block device there. Overlays and others have none: their number leads
    nowhere.
    """
    number = os.fstat(descriptor).st_dev
    device = sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    if not device.exists():
        return False
    kinds, name = sys / "fs", device.resolve().name
    return (kinds / "ext4" / name / "journal_task").exists() or (kinds / "xfs" / name).is_dir()


def release_pages(path: Path) -> None:
    """Give back the memory in which the system keeps a file that is about to be replaced.

    The one that is written in its place takes it: on virtual machines memory that was never
    used before is slow to come by. The file stays as it is. One that is still on its way to the
    disk is left alone: the system would first write all of it, beside the new one and for nothing.
    Large files take some time, which nobody waits for.
    """
    if hasattr(os, "posix_fadvise"):
        threading.Thread(target=_release, args=(path,), daemon=True).start()


def _release(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if _is_on_disk(descriptor):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _is_on_disk(descriptor: int) -> bool:
    """Whether nothing of a file waits to be written; by its age where the system does not tell."""
    waiting = _pages_waiting(descriptor)
    if waiting is None:
        return time.time() - os.fstat(descriptor).st_mtime > WRITTEN_BACK_AFTER
    return waiting == 0


def _pages_waiting(descriptor: int) -> int | None:
    """How many pages of a file are yet to be written; None where it is not told.

    Linux tells it since 6.5 (``cachestat``, whose number is the same on all of its platforms since
    numbers are given to all alike).
    """
    import ctypes
    import sys

    if sys.platform != "linux":
        return None
    whole = (ctypes.c_uint64 * 2)(0, 0)  # from the first byte to the last
    found = (ctypes.c_uint64 * 5)()  # pages kept, changed, being written, and two more
    call = getattr(ctypes.CDLL(None), "syscall", None)
    if call is None:
        return None
    number = ctypes.c_long(_CACHESTAT)
    if call(number, ctypes.c_uint(descriptor), whole, found, ctypes.c_uint(0)) != 0:
        return None
    return found[1] + found[2]


_CACHESTAT = 451

_WRITE, _WRITE_AND_WAIT = 2, 1 | 2 | 4
"""SYNC_FILE_RANGE_WRITE alone, and with WAIT_BEFORE and WAIT_AFTER: errors are told then."""


@cache
def _sync_file_range() -> Callable[[int, int], int] | None:
    """Linux alone has it, and Python has no name for it."""
    import ctypes
    import sys

    if sys.platform != "linux":
        return None
    function = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if function is None:
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    whole = 0, 0  # from the first byte to the last
    return lambda descriptor, flags: int(function(descriptor, *whole, flags))
