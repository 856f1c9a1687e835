"""A look at an HDF5 file of a stranger in a process of its own, before it is opened in this one.

HDF5 is a large library in C. A damaged file can keep it in a loop that no Python code ends, or make
it crash; both were met by changing single bytes. So a child opens the file first, walks over
everything that is in it and reads its attributes, and the kernel ends it when its time is over.
Where the child did not come back well, the file is refused.

A child that is forked costs some milliseconds. It is made for every file on the command line; in a
Python program, whose threads a fork would cut off in the middle of what they do, for files in which
something looks odd.
"""

from __future__ import annotations

import io
import os
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeGuard

from rnnscope.errors import RnnscopeError, spell
from rnnscope.files.guarding.limits import limits

if TYPE_CHECKING:
    from rnnscope.files.archives.inflated_window import InflatedWindow
    from rnnscope.files.archives.zip_window import FileWindow

SHARE_OF_TIME = 1 / 15
"""Of the time for reading a file: the child only walks over it."""

BYTES_A_SECOND = 10 * 2**20
"""A child has a second more for each so many bytes of the file."""

MAX_ELEMENT_BYTES = 64 * 2**20
"""A chunk of more is not unpacked by the child."""

SCANNED_BYTES = 16 * 2**20
"""Larger files are not searched for damage: a child looks at them in any case."""

PIECE_BYTES = 2**20
"""Of a file that is searched, read at a time."""

ReadAt = Callable[[int, int], bytes]
"""``read(at, count)``: so many bytes of a file, fewer at its end."""

HEAP = b"GCOL"

_ended: dict[tuple[int, ...], int] = {}
"""How the child ended, of files that were looked at already: by device, inode, size and time."""


_begun: dict[tuple[int, ...], int] = {}
"""The child that looks at a file, where `begin` has sent one that nobody has waited for."""


def begin(source: Path) -> None:
    """Send a child to look at a file that will be opened, and go on: `probe` waits for it.

    What else a reader needs is imported meanwhile, which takes about as long.
    """
    if not (hasattr(os, "fork") and limits().probe_always):
        return
    try:
        place, size = _place_and_size(source)
    except OSError:  # told by whoever opens it
        return
    if place not in _ended and place not in _begun:
        _begun[place] = _send(source, _seconds(size))


def probe(source: Path | BinaryIO, where: str, error: type[RnnscopeError]) -> None:
    """Refuse a file that makes HDF5 hang or crash; whatever else is wrong with it is found later.

    Parameters
    ----------
    source : Path, BytesIO, FileWindow or InflatedWindow
    where : str
        What messages call it.
    error : class of RnnscopeError

    Raises
    ------
    RnnscopeError
    """
    known = isinstance(source, (Path, io.BytesIO)) or _is_window(source)
    if not hasattr(os, "fork") or not known:
        return
    place, size = _place_and_size(source)
    ended = _ended.get(place)
    if ended is None:
        process = _begun.pop(place, None)
        if process is None and (limits().probe_always or looks_odd(source, size)):
            process = _send(source, _seconds(size))
        ended = 0 if process is None else _end_of(process)
    if place:
        _ended[place] = ended
    if ended == 0:
        return
    if ended == signal.SIGPROF:
        raise error(
            "The HDF5 file is damaged so that HDF5 does not come to an end with it.",
            where=where,
            expected="a file that can be walked over in its time",
            found=f"more than {_seconds(size):.3g} s",
            hint=f"copy or write it again; if it only takes long, raise {spell('max_seconds')}",
        )
    raise error(
        "The HDF5 file is damaged so that HDF5 crashes on it.",
        where=where,
        expected="a whole HDF5 file",
        found=f"signal {ended} in a process of its own",
        hint="copy or write the file again",
    )


def _is_window(source: object) -> TypeGuard[FileWindow | InflatedWindow]:
    if isinstance(source, Path):  # most are, and need nothing more to be loaded
        return False
    from rnnscope.files.archives.inflated_window import InflatedWindow
    from rnnscope.files.archives.zip_window import FileWindow

    return isinstance(source, (FileWindow, InflatedWindow))


def _seconds(size: int) -> float:
    return limits().max_seconds * SHARE_OF_TIME + size / BYTES_A_SECOND


def _place_and_size(source: Path | BinaryIO) -> tuple[tuple[int, ...], int]:
    if isinstance(source, io.BytesIO):
        return (), len(source.getvalue())  # no copy, unlike a view of the buffer
    if _is_window(source):
        place, _ = _place_and_size(source.path)
        return (*place, source.start), source.size
    assert isinstance(source, Path)
    found = source.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns), found.st_size


def _send(source: Path | BinaryIO, seconds: float) -> int:
    """A child that walks over a file, by its number."""
    import h5py  # noqa: F401  # before the fork: the child must not wait for a lock of imports

    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    try:
        # The kernel ends the child, whatever it is in the middle of, by what it has computed: a
        # busy machine or a slow disk is no reason.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        walk(source)
    finally:
        os._exit(0)


def _end_of(process: int) -> int:
    """The signal that ended a child, or 0."""
    try:
        _, status = os.waitpid(process, 0)
    except BaseException:  # a signal to this process: the child is not left to itself
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def walk(source: Path | BinaryIO) -> None:
    """Open a file, look at every object and read every attribute; whatever it raises is dropped."""
    import h5py

    with suppress(Exception), h5py.File(source, "r") as file:
        _attributes(file)

        def visit(name: str, _: object) -> None:
            with suppress(Exception):
                item = file.get(name)
                _attributes(item)
                if isinstance(item, h5py.Dataset):
                    _ends(item)

        file.visititems_links(lambda name, link: visit(name, link) if _is_hard(link) else None)


def _is_hard(link: object) -> bool:
    import h5py

    return isinstance(link, h5py.HardLink)


def _attributes(item: object) -> None:
    attributes = item.attrs  # type: ignore[attr-defined]
    for name in attributes:
        with suppress(Exception):
            attributes[name]


def _ends(dataset: object) -> None:
    """The first and the last value: what lies between is read the same way."""
    import math

    shape = dataset.shape  # type: ignore[attr-defined]
    if not shape or 0 in shape or dataset.is_virtual or dataset.external:  # type: ignore[attr-defined]
        return
    chunk = dataset.chunks or (1,)  # type: ignore[attr-defined]
    if math.prod(chunk) * dataset.dtype.itemsize <= MAX_ELEMENT_BYTES:  # type: ignore[attr-defined]
        for place in ((0,) * len(shape), tuple(size - 1 for size in shape)):
            dataset[place]  # type: ignore[index]


def looks_odd(source: Path | BinaryIO, size: int) -> bool:
    """Whether a file is too large to be searched, or one of its heaps contradicts itself."""
    if size > SCANNED_BYTES:
        return True
    if not isinstance(source, Path):

        def read_from(at: int, count: int) -> bytes:
            source.seek(at)
            return source.read(count)

        return _has_odd_heap(read_from, _place_and_size(source)[1])
    # Read piece by piece: mapped, a file that is cut meanwhile would end this process.
    with source.open("rb", buffering=0) as file:

        def read(at: int, count: int) -> bytes:
            return os.pread(file.fileno(), count, at)

        return _has_odd_heap(read, os.fstat(file.fileno()).st_size)


def _has_odd_heap(read: ReadAt, size: int) -> bool:
    for start in range(0, size, PIECE_BYTES):
        # The mark of a heap may lie across two pieces.
        piece = read(start, PIECE_BYTES + len(HEAP) - 1)
        at = piece.find(HEAP)
        while at >= 0:
            if not _is_heap(read, start + at, size):
                return True
            at = piece.find(HEAP, at + 1)
    return False


def _is_heap(read: ReadAt, at: int, file_size: int) -> bool:
    """Whether a global heap collection is in order: sizes that add up to its own.

    References
    ----------
    HDF5 File Format Specification 3.0, III.E, Disk Format: Level 1E - Global Heap.
    """
    head = read(at, 16)
    if len(head) < 16 or head[4:8] != b"\x01\0\0\0":
        return False
    (size,) = struct.unpack("<Q", head[8:])
    if not 16 <= size <= file_size - at:
        return False
    place, end = at + 16, at + size
    piece, begins = b"", place
    while place + 16 <= end:
        if not begins <= place <= begins + len(piece) - 16:
            piece, begins = read(place, min(end - place, PIECE_BYTES)), place
            if len(piece) < 16:
                return False  # cut meanwhile
        index, _, length = struct.unpack_from("<HH4xQ", piece, place - begins)
        # Object 0 is the free space, and counts its own head: one of length 0 is what HDF5 steps
        # over without ever getting further.
        step = length if index == 0 else 16 + -(-length // 8) * 8
        if step < 16 or place + step > end:
            return False
        place += step
    return True
