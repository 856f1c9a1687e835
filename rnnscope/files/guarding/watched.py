"""Files that must stay as they are while they are read: a digest is worth nothing otherwise.

A run reads its input slice by slice and its digest beside that. A file that is written meanwhile
gives states of two contents under the digest of one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from rnnscope.deferred_dataclass import dataclass

MAX_NEIGHBOURS = 5_000
"""Files of a folder that are looked at before it is known which of them are read."""

CLOCK_TICK = 0.02
"""Seconds: what the clocks of file systems are late, and two writes may share one time."""


@dataclass(frozen=True)
class Signature:
    """What changes when a file is written or replaced.

    Attributes
    ----------
    device, inode, size, modified : int
        Bytes, nanoseconds.
    touched : int
        Nanoseconds: when size, content, name or rights changed last; no program can set it.
    fresh : bool
        It was written so short a time before that another write might not show.
    """

    device: int
    inode: int
    size: int
    modified: int
    touched: int
    fresh: bool

    @classmethod
    def of(cls, path: Path) -> Signature:
        """The signature of a file as it is now; links are followed."""
        found = path.stat()
        fresh = abs(time.time_ns() - found.st_mtime_ns) < CLOCK_TICK * 1e9
        return cls(
            found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, fresh
        )

    def content(self) -> tuple[int, ...]:
        """What no program leaves as it is when it writes, unless it sets the time back."""
        return self.device, self.inode, self.size, self.modified


class WatchedFiles:
    """The files near some paths as they are now.

    Parameters
    ----------
    paths : iterable of Path
        Files; folders, for all that is in them; prefixes, for the files of their folder.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._seen: dict[str, Signature] = {}
        for path in paths:
            for file in islice(_files_near(path), MAX_NEIGHBOURS):
                self.add(file)

    def add(self, path: Path) -> None:
        """Watch a file from now on, if it is not watched already."""
        place = os.path.abspath(path)  # noqa: PTH100  # links are kept: they may change, too
        if place not in self._seen and os.path.isfile(place):  # noqa: PTH113
            self._seen[place] = Signature.of(Path(place))

    def changed(self, files: Iterable[Path]) -> Path | None:
        """The first of these files that was written or replaced meanwhile."""
        for path in files:
            before = self._signature(path)
            if before is not None and before.content() != _content_now(path):
                return path
        return None

    def doubtful(self, files: Iterable[Path]) -> bool:
        """Whether times alone do not tell that all these files are as they were."""
        return any(
            before is not None and (before.fresh or Signature.of(path).touched != before.touched)
            for path in files
            if (before := self._signature(path)) is not None
        )

    def _signature(self, path: Path) -> Signature | None:
        return self._seen.get(os.path.abspath(path))  # noqa: PTH100


def _content_now(path: Path) -> tuple[int, ...] | None:
    try:
        return Signature.of(path).content()
    except OSError:
        return None


def _files_near(path: Path) -> Iterable[Path]:
    try:
        if path.is_file():
            yield path
            yield from path.parent.iterdir()
        elif path.is_dir():
            yield from path.rglob("*")
        elif path.parent.is_dir():
            yield from path.parent.iterdir()
    except OSError:  # readers will say what is wrong with it
        return
