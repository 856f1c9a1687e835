"""The terminal at hand: whether it takes colours, and the process's own stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def wants_color(stream: TextIO) -> bool:
    """Whether what goes to a stream is to have colours.

    NO_COLOR takes them away and FORCE_COLOR asks for them, also in a pipe; without either a
    terminal has them, unless it says to be dumb.

    References
    ----------
    https://no-color.org and https://force-color.org: an empty variable counts as none.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and not is_dumb()


def is_dumb() -> bool:
    """Whether the terminal cannot move its cursor: no bars, no pager."""
    return os.environ.get("TERM") == "dumb"


@contextmanager
def stderr_to_nowhere() -> Iterator[None]:
    """Drop what TensorFlow's C++ parts write while it is imported, whatever its log level.

    They write to the file descriptor; what Python has to say goes there too, but errors are
    raised, not written.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # devnull is no path of ours
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
