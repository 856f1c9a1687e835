"""The file that a trace is written to until it is whole, and what a later run can take up from it.

Once a run that may be continued has committed, ``.NAME.partial.json`` lies beside it: which run it
is, how many sequences are done, and a text of the caller's. It is replaced in one step, after the
arrays have left the process, and so never promises more than there is. ``.NAME.partial.lock`` is
locked by the process that writes; what a killed one leaves of it locks nobody out.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import TraceError, spell
from rnnscope.files.hdf5.discarding import discard
from rnnscope.files.hdf5.safe_hdf5 import require_plain
from rnnscope.files.writing.own_files import is_own, read_own, write_new
from rnnscope.files.writing.write_back import begin_write_back, release_pages
from rnnscope.trace.storage import CACHE_BYTES, Compression
from rnnscope.trace.stores.hdf5_nodes import Hdf5Group, libver_of
from rnnscope.trace.target import publish
from rnnscope.trace.write_lock import locked

MAX_FILE_NAME = 255
"""Bytes that file systems allow in a name, most of them."""

COMMIT_SECONDS = 1.0
"""The work of so long a time is lost at most where a process is killed."""

MAX_RECORD_BYTES = 64 * 2**20
"""The findings of the checks are in it, a few hundred bytes for each layer."""


@dataclass(frozen=True)
class Commit:
    """What a run left for the one that continues it.

    Attributes
    ----------
    fingerprint : str
        Of the run: the same checkpoint, input, options and layout have the same.
    done : int
        Sequences whose every array is in the file.
    state : str
        The caller's.
    """

    fingerprint: str
    done: int
    state: str


class PartialFile:
    """A trace before it has its name; only one process at a time has it.

    Parameters
    ----------
    target : Path
    force : bool
        Replace the target when done.
    resume : bool
        Take up what an earlier run of the same fingerprint left.
    compress : Compression, optional
        Of arrays over time.
    array_count : int
        How many arrays the layers have, which tells what format of HDF5 the file needs.

    Attributes
    ----------
    path : Path
    file : h5py.File
        After `open`.
    fingerprint : str or None
        Of the run; set before `open` if a run is to be continued. While it is None nothing is left
        to be taken up.
    commit : Commit or None
        The last one, of this run or an earlier one.
    libver : tuple of str or None
        What format of HDF5 a new file has; set before `open`.
    """

    def __init__(
        self,
        target: Path,
        force: bool,
        resume: bool = False,
        compress: Compression | None = None,
        array_count: int = 0,
    ) -> None:
        self.path = partial_path(target)
        self.file: Any = None
        self.commit: Commit | None = None
        self.fingerprint: str | None = None
        self._target, self._force = target, force
        self._record = self.path.with_name(self.path.name + ".json")
        self._new_record = self._record.with_name(self._record.name + ".new")
        self._resume = resume
        self._compress, self.libver = compress, libver_of(array_count)
        self._reached: tuple[int, str] | None = None
        self._committed_at = -math.inf
        self._lock_path = self.path.with_name(self.path.name + ".lock")
        self._lock: int | None = None
        self._target_exists = False

    @property
    def root(self) -> Hdf5Group:
        """The root of the open file."""
        return Hdf5Group(self.file, self._compress)

    @property
    def kept(self) -> str | None:
        """The file that an interrupted run leaves, if there is a commit."""
        return str(self.path) if self.commit and self.path.exists() else None

    def laid_out(self) -> None:
        """Have the file's structure written: killed from here on, it can be opened again."""
        self.file.flush()  # only numbers follow, each to its place

    def open(self) -> bool:
        """Open the file: the one that was left if it is of the same run, else an empty one.

        Returns
        -------
        bool
            True if it was left by a run that can be continued.

        Raises
        ------
        TraceError
            Another process writes it, or it is of another run; it is left as it is.
        OSError
        """
        import h5py

        self._lock = locked(self._lock_path, self._target)
        self._target_exists = self._target.exists()
        if self._target_exists:
            release_pages(self._target)
        left = _read_commit(self._record) if self._resume and self.fingerprint else None
        if left is not None and left.fingerprint != self.fingerprint:
            self._release()
            raise TraceError(
                "The run that was interrupted is not this one: it cannot be continued.",
                where=self.path,
                expected="the same checkpoint, input and options",
                found="others",
                hint=f"give the same as then, or start anew without {spell('resume')}",
            )
        if left is not None and os.path.lexists(self.path):
            if not is_own(self.path.lstat()):
                raise self._not_ours("a link, or a file that is not this user's alone")
            # A file that cannot be opened was cut off before its first commit, or since.
            with suppress(OSError):
                self.file = h5py.File(self.path, "r+")
                self._require_plain()
                self.commit = left
                return True
        self.restart()
        return False

    def _require_plain(self) -> None:
        """Refuse what was left if it leads elsewhere: values would be written there.

        Raises
        ------
        TraceError
            It holds a link, or values outside the file, or another file took its place.
        """
        opened = os.fstat(self.file.id.get_vfd_handle())
        if not os.path.samestat(opened, self.path.lstat()) or not is_own(opened):
            raise self._not_ours("another file than a moment ago")
        try:
            require_plain(self.file, TraceError)
        except TraceError as error:
            raise self._not_ours(f"{error.found or error.what} ({error.where})") from error

    def _not_ours(self, found: str) -> TraceError:
        return TraceError(
            "What an interrupted run left was changed since: it is not continued.",
            where=self.path,
            expected="the file as rnnscope wrote it",
            found=found,
            hint=f"look who else writes into this folder; start anew without {spell('resume')}",
        )

    def restart(self) -> None:
        """Begin with an empty file."""
        import h5py

        self._record.unlink(missing_ok=True)
        if self.file is not None:
            self.file.close()
        self.commit = None
        # A new file, not the old one emptied: ext4 writes those to the disk when they are closed.
        self.path.unlink(missing_ok=True)
        cache = CACHE_BYTES if self._compress else None
        self.file = h5py.File(self.path, "x", rdcc_nbytes=cache, libver=self.libver)

    def write_commit(self, done: int, state: str) -> None:
        """Hand everything to the operating system, then say so; nothing without a fingerprint.

        What it has been handed outlives the process, however that ends. To outlive the machine's
        end it would have to be forced to the disk each time, which costs more than the run. It is
        said once in `COMMIT_SECONDS` at most, and when an interrupted run is kept: some file
        systems put on the disk at once what takes another file's place.
        """
        self._reached = (done, state)
        if self._target_exists:
            # It is forced to the disk before it replaces the other: by then most of it is there.
            begin_write_back(self.file.id.get_vfd_handle())
        if time.monotonic() - self._committed_at >= COMMIT_SECONDS:
            self._write_record()

    def _write_record(self) -> None:
        if self.fingerprint is None or self._reached is None:
            return
        self.file.flush()
        commit = Commit(self.fingerprint, *self._reached)
        write_new(self._new_record, json.dumps(asdict(commit)).encode())
        self._new_record.replace(self._record)
        self.commit, self._committed_at = commit, time.monotonic()

    def finish(self) -> None:
        """Mark the file complete, close it and give it the target's name."""
        self.file.attrs["complete"] = 1
        self.file.flush()  # a file that fails here can still be closed, one that fails below cannot
        self.file.close()
        publish(self.path, self._target, self._force)
        for path in (self._record, self._new_record):
            path.unlink(missing_ok=True)
        self._release()

    def abandon(self, keep: bool) -> None:
        """Close the file, and remove it unless it is to be kept and holds a commit."""
        if self._lock is None:  # never had, or has its name already
            return
        if keep and self.file is not None:
            with suppress(Exception):
                self._write_record()
        kept = keep and self.commit is not None
        if self.file is not None and kept:
            with suppress(Exception):
                self.file.close()
        elif self.file is not None:
            discard(self.file)
        if not kept:
            for path in (self._record, self._new_record, self.path):
                with suppress(OSError):
                    path.unlink()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            with suppress(OSError):
                self._lock_path.unlink()
            os.close(self._lock)
            self._lock = None


def partial_path(target: Path) -> Path:
    """A name beside the target, so that renaming stays within one file system."""
    name = f".{target.name}.partial"
    if len(os.fsencode(name)) + len(".json.new") > MAX_FILE_NAME:
        digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
        name = f".{target.name[:40]}.{digest}.partial"
    return target.with_name(name)


def fingerprint_of(*parts: object) -> str:
    """One text for many things; the same for the same."""
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()


def _read_commit(path: Path) -> Commit | None:
    """The commit that was left, or None: there is none, or it is not to be understood."""
    content = read_own(path, MAX_RECORD_BYTES)
    try:
        record = json.loads(content or b"")
        commit = Commit(record["fingerprint"], record["done"], record["state"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    kinds = (type(commit.fingerprint), type(commit.done), type(commit.state))
    return commit if kinds == (str, int, str) and commit.done >= 0 else None
