"""Files that are no files: a pipe waits for ever, a device has no end."""

from __future__ import annotations

import stat
from pathlib import Path

from rnnscope.errors import RnnscopeError


def require_regular(path: Path, error: type[RnnscopeError]) -> None:
    """Refuse a pipe, a device or a socket before it is opened; what is not there is no matter here.

    Raises
    ------
    RnnscopeError
        It names the path and what it is.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    raise error(
        "This is no file.",
        where=path,
        expected="a file, which has an end and can be read again",
        found=next((name for test, name in kinds if test(mode)), "a device"),
        hint="write what comes out of it into a file first",
    )
