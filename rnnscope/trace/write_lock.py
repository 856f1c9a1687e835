"""A lock file beside what is written, which one process holds at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rnnscope.errors import TraceError, spell
from rnnscope.files.writing.own_files import NO_LINK, is_own


def locked(path: Path, target: Path) -> int:
    """A descriptor of the lock file, made if need be, that holds its lock.

    Parameters
    ----------
    path : Path
        The lock file.
    target : Path
        What is written; messages name it.

    Raises
    ------
    TraceError
        Another process holds the lock.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        try:
            if not is_own(os.fstat(descriptor)):
                path.unlink()  # a second name of somebody's file, or no file: ours is made anew
            elif sys.platform != "win32":
                _lock(descriptor)
            # Its last owner may have removed it between the two calls.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise TraceError(
                "Another run is writing this trace.",
                where=target,
                expected="one run at a time",
                found=f"{path.name} is locked",
                hint=f"wait for it, or name another file with {spell('output')}",
            ) from error
        except BaseException:  # nothing is swallowed: the descriptor holds a lock
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # a file system without locks: one run at a time is then the user's to see to
