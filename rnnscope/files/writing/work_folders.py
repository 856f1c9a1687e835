"""Folders in which something is made before it gets its name, and what killed processes left.

A process that is killed cannot tidy up. Each folder is therefore locked for as long as its process
lives: one that nobody has locked was left, and the next process that makes such a folder in the
same place removes it. Nothing else is ever removed: the folder must be this user's and no link, and
its name one that only this module gives.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RANDOM = "[a-z0-9_]{8}"
"""What `tempfile.mkdtemp` puts into a name."""

KEPT_OLD, KEPT_NEW = "old", "whole"
"""What a folder being replaced is called while its work folder holds it, and what replaces it."""


@contextmanager
def work_folder(
    prefix: str, suffix: str = "", place: Path | None = None, target: Path | None = None
) -> Iterator[Path]:
    """A new folder, gone when the block ends; what earlier processes left there goes first.

    Parameters
    ----------
    prefix, suffix : str
        Of its name; nothing but these folders may be called so.
    place : Path, optional
        Where it is made; without, among the system's temporary files.
    target : Path, optional
        A folder that is replaced by what is made. Where a killed process had taken the old one away
        and not yet put the new one there, this is done now.

    Yields
    ------
    Path

    Raises
    ------
    OSError
    """
    import shutil
    import tempfile

    where = Path(tempfile.gettempdir()) if place is None else place
    sweep(prefix, suffix, where, target)
    folder, lock = _locked_folder(prefix, suffix, where)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sweep(prefix: str, suffix: str, place: Path, target: Path | None = None) -> None:
    """Remove the folders of that name that no living process has; never raises."""
    import shutil

    if sys.platform == "win32":  # no locks that end with their process
        return
    name = re.compile(re.escape(prefix) + RANDOM + re.escape(suffix))
    with suppress(OSError):
        left = [Path(entry.path) for entry in os.scandir(place) if name.fullmatch(entry.name)]
        for folder in left:
            lock = _lock(folder)
            if lock is None:
                continue
            if target is not None:
                _finish(folder, target)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def replace_folder(work: Path, target: Path) -> None:
    """Give the folder ``whole`` of a work folder the target's name, whatever has it now.

    In one step where the system can exchange two names. Elsewhere in two: if the process is killed
    between them, `work_folder` does the second one later.

    Raises
    ------
    OSError
    """
    new, old = work / KEPT_NEW, work / KEPT_OLD
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        target.rename(old)
        new.rename(target)


def _finish(folder: Path, target: Path) -> None:
    """Do the second of two renames that a killed process did not come to."""
    if not target.exists() and (folder / KEPT_OLD).is_dir() and (folder / KEPT_NEW).is_dir():
        with suppress(OSError):
            (folder / KEPT_NEW).rename(target)


def _locked_folder(prefix: str, suffix: str, place: Path) -> tuple[Path, int | None]:
    import tempfile

    for _ in range(100):
        folder = Path(tempfile.mkdtemp(suffix, prefix, place))
        if sys.platform == "win32":
            return folder, None
        # Somebody who sweeps may have found it before it was locked.
        lock = _lock(folder)
        if lock is not None:
            return folder, lock
    raise OSError(f"no folder could be made in {place}")


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock of one of our folders; None if another process has it."""
    import fcntl

    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY
    try:
        descriptor = os.open(folder, flags)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            with suppress(BlockingIOError):
                _try_lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(found, folder.lstat()):
                    return descriptor
    except OSError:  # gone meanwhile
        pass
    os.close(descriptor)
    return None


def _try_lock(descriptor: int, how: int) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    import ctypes

    names = os.fsencode(one), os.fsencode(other)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform.startswith("linux"):
            here = -100  # AT_FDCWD of fcntl.h
            swap = 2  # RENAME_EXCHANGE of linux/fs.h
            failed = library.renameat2(here, names[0], here, names[1], swap)
        elif sys.platform == "darwin":
            swap = 2  # RENAME_SWAP of sys/stdio.h
            failed = library.renamex_np(*names, swap)
        else:
            return False
    except (OSError, AttributeError, TypeError):
        return False
    return not failed
