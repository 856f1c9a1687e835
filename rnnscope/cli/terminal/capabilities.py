"""What the terminal at hand can do: whether it takes colours, whether its cursor moves."""

from __future__ import annotations

import os
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
