"""Files that rnnscope makes for itself beside a user's: made anew, and never through a link.

Whoever may write into a folder can put a link there under a name that rnnscope will use. Opening
that name would write to whatever the link points to. So a file of our own is created where nothing
is, and one that an earlier process left is looked at before it is opened.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
AT_ONCE = getattr(os, "O_NONBLOCK", 0)
"""So that opening a pipe does not wait for somebody to write into it."""


def is_own(found: os.stat_result) -> bool:
    """Whether a file is a plain one of this user, under one name only.

    Parameters
    ----------
    found : os.stat_result
        Of the name itself (`os.lstat`) or of an open descriptor (`os.fstat`).
    """
    mine = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    # A second name (a hard link) may stand anywhere, and be another program's file.
    return mine and stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def write_new(path: Path, content: bytes) -> None:
    """Write a file where nothing is: what has the name already is removed, not opened.

    Raises
    ------
    OSError
        Also where somebody else made a file of that name at the same time.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    with path.open("xb") as file:  # "x" fails on a link, wherever it points
        file.write(content)


def read_own(path: Path, limit: int) -> bytes | None:
    """What an earlier process left; None if there is nothing, or something else.

    Parameters
    ----------
    path : Path
    limit : int
        Bytes; a larger file is none of ours.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | NO_LINK | AT_ONCE | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor, not a path
        found = os.fstat(descriptor)
        return file.read() if is_own(found) and found.st_size <= limit else None
