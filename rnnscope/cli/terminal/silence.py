"""Silence on the process's own stderr, for libraries that write to it past Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
