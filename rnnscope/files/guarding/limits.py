"""What a file may take of this machine, however small it is itself.

A file of a kilobyte can ask for terabytes and for years: compressed zeros, functions that call each
other twice, sizes that are only claimed. Readers ask here before they take memory, and once in a
while whether their time is over. The command line sets them for its process; in Python a block has
them (`limited`), and what it starts.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import RnnscopeError, spell

MAX_UNPACKED_BYTES = 256 * 2**20
UNPACKED_A_BYTE = 100
"""What compressed data may grow to: so many bytes, or so many for each stored one, if that is more.
Weights and states hardly shrink; masks, ids and zeros do."""

MAX_FETCHED_BYTES = 16 * 2**30
"""What is fetched of one checkpoint or input at an address: as much as one array may be."""

MAX_SECONDS = 60
"""For reading one checkpoint, without what is computed with it afterwards."""


@dataclass(frozen=True)
class Limits:
    """The limits of this process.

    Attributes
    ----------
    max_bytes : int or None
        That compressed data of one file may unpack to. None: `MAX_UNPACKED_BYTES`, or
        `UNPACKED_A_BYTE` times the file if that is more.
    max_seconds : float
        For reading one file.
    allow_outside : bool
        Follow what a file says of another one that lies outside its own folder.
    allow_remote : bool
        Fetch what a trace or a suite names by an address; what the user names is always fetched.
    probe_always : bool
        Look at every HDF5 file in a child first (`rnnscope.files.hdf5.probe`).
    """

    max_bytes: int | None = None
    max_seconds: float = MAX_SECONDS
    allow_outside: bool = False
    probe_always: bool = False
    allow_remote: bool = False

    def unpacked(self, stored: int) -> int:
        """How many bytes a file of `stored` bytes may unpack to."""
        if self.max_bytes is not None:
            return self.max_bytes
        return max(MAX_UNPACKED_BYTES, UNPACKED_A_BYTE * stored)

    def fetched(self) -> int:
        """How many bytes of one thing at an address are fetched."""
        return MAX_FETCHED_BYTES if self.max_bytes is None else self.max_bytes


_of_process = Limits()
_of_block: ContextVar[Limits | None] = ContextVar("limits of a block", default=None)


class _Deadline(threading.local):
    """When a thread's time to read is over; the clock is the thread's own, too."""

    at: float | None = None


_deadline = _Deadline()


def limits() -> Limits:
    """The limits in force."""
    return _of_block.get() or _of_process


def set_limits(**changes: Any) -> Limits:
    """Put other limits in force; those that were.

    Parameters
    ----------
    **changes
        By the names of `Limits`; None leaves one as it is.
    """
    global _of_process  # noqa: PLW0603  # one surface a process: whoever starts it says so, once
    before = _of_process
    _of_process = _changed(before, changes)
    return before


def put_limits_back(before: Limits) -> None:
    """Put limits in force that `set_limits` returned."""
    global _of_process  # noqa: PLW0603  # as above
    _of_process = before


@contextmanager
def limited(**changes: Any) -> Iterator[Limits]:
    """Other limits for a block, in this thread or task and what is computed for it in others.

    Parameters
    ----------
    **changes
        By the names of `Limits`; None leaves one as it is.

    Yields
    ------
    Limits
    """
    token = _of_block.set(_changed(limits(), changes))
    try:
        yield limits()
    finally:
        _of_block.reset(token)


def _changed(before: Limits, changes: dict[str, Any]) -> Limits:
    return replace(before, **{key: value for key, value in changes.items() if value is not None})


def require_inside(path: Path, folder: Path, by: object, error: type[RnnscopeError]) -> None:
    """Refuse a path that a file names and that lies outside the file's own folder.

    Parameters
    ----------
    path : Path
    folder : Path
        Links on the way are followed, in both.
    by : object
        The file, for messages.
    error : class of RnnscopeError

    Raises
    ------
    RnnscopeError
    """
    inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    if inside or limits().allow_outside:
        return
    raise error(
        "A file names another one outside its own folder.",
        where=by,
        expected=f"a path inside {folder}",
        found=path,
        hint=f"if you trust the file, say {spell('allow_outside')}; or name that one yourself",
    )


@contextmanager
def time_to_read() -> Iterator[None]:
    """From here on `check_time` counts; an outer block's time goes on."""
    before = _deadline.at
    if before is None:
        _deadline.at = time.thread_time() + limits().max_seconds
    try:
        yield
    finally:
        _deadline.at = before


def check_time(where: object, error: type[RnnscopeError]) -> None:
    """End what reads a file when its time is over; cheap, but not for the innermost loops.

    Time is what this thread has computed: a busy machine or a slow disk is no reason.

    Raises
    ------
    RnnscopeError
    """
    if _deadline.at is not None and time.thread_time() > _deadline.at:
        raise error(
            "Reading the file takes too long.",
            where=where,
            expected=f"at most {limits().max_seconds:g} s",
            found="more",
            hint="is it damaged, or made to take up time? If not, "
            f"allow more with {spell('max_seconds')}",
        )


class Unpacking:
    """What one file unpacks to, counted.

    Parameters
    ----------
    where : object
        The file, for messages.
    stored : int
        Its bytes.
    error : class of RnnscopeError
    """

    def __init__(self, where: object, stored: int, error: type[RnnscopeError]) -> None:
        self._where, self._error = where, error
        self._most = limits().unpacked(stored)
        self._taken = 0

    def take(self, count: int, name: str) -> None:
        """Count bytes before they are unpacked.

        Raises
        ------
        RnnscopeError
            It is more than the limit; it names the part of the file.
        """
        self._taken += count
        if self._taken > self._most:
            raise self._error(
                "The file unpacks to more than it may.",
                where=f"{self._where}: {name}",
                expected=f"at most {self._most} bytes from a file of its size",
                found=f"{self._taken} bytes so far",
                hint=f"is it made to exhaust memory? If not, allow more with {spell('max_bytes')}",
            )
