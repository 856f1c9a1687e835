"""A compressed member as a file that is read anywhere, and kept nowhere.

Deflate can only be read from its beginning. So the state of the decompressor is noted every few
megabytes on a first pass, which checks the checksum too; whoever reads elsewhere goes on from
the nearest note. Neither memory nor disk ever holds the whole.

References
----------
RFC 1951 (deflate) and RFC 1952 (gzip); Mark Adler's zran.c does the same in C.
"""

from __future__ import annotations

import io
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

RAW_DEFLATE = -15
"""zlib's word for deflate without a header, as zips have it."""

BLOCK_BYTES = 2**21
"""From one note to the next; a note takes some 40 kB."""

KEPT_BLOCKS = 6
"""Blocks that were read last and are kept: readers of HDF5 go back and forth."""

READ_BYTES = 2**16
"""What is read of the file at a time."""


class _Note(NamedTuple):
    """Where a decompressor stood at the beginning of a block."""

    state: Any
    at: int


class DeflatedBytes:
    """Deflated bytes of a file, looked at once.

    Parameters
    ----------
    path : Path
    start, stored : int
        Where they lie, and how many they are.
    size : int
        How many bytes they become.
    checksum : int
        The CRC-32 of these.
    check : callable
        Called once a block: it raises where time is over.

    Raises
    ------
    zlib.error, EOFError
        They are damaged, or become others, fewer or more.
    """

    def __init__(
        self, path: Path, start: int, stored: int, size: int, checksum: int,
        check: Callable[[], None],
    ) -> None:  # fmt: skip
        self.path, self.start, self.size = path, start, size
        self._stop = start + stored
        self._notes: list[_Note] = []
        found, length = 0, 0
        state, at = zlib.decompressobj(RAW_DEFLATE), start
        with path.open("rb", buffering=0) as file:
            while length < size:
                check()
                self._notes.append(_Note(state.copy(), at))
                block, at = self._inflate(file, state, at, min(BLOCK_BYTES, size - length))
                found, length = zlib.crc32(block, found), length + len(block)
                if len(block) < BLOCK_BYTES and length < size:
                    raise EOFError(f"it ends after {length} of {size} bytes")
            more, _ = self._inflate(file, state, at, 1)
        if more or found != checksum:
            raise zlib.error("its checksum or its size is another")

    def block(self, file: BinaryIO, number: int) -> bytes:
        """A block of what they become, fewer bytes at the end.

        Parameters
        ----------
        file : binary file object
            The file, opened without a buffer.
        number : int
        """
        note = self._notes[number]
        count = min(BLOCK_BYTES, self.size - number * BLOCK_BYTES)
        block, _ = self._inflate(file, note.state.copy(), note.at, count)
        if len(block) < count:
            raise EOFError(f"it ends {count - len(block)} bytes early")
        return block

    def open(self) -> InflatedWindow:
        """What they become as a file of its own."""
        return InflatedWindow(self)

    def _inflate(self, file: BinaryIO, state: Any, at: int, count: int) -> tuple[bytes, int]:
        """So many bytes, or those that are left, and the place in the file that is read next."""
        parts, left = [], count
        while left and not state.eof:
            data = state.unconsumed_tail
            if not data:
                file.seek(at)
                data = file.read(min(READ_BYTES, self._stop - at))
                at += len(data)
            part = state.decompress(data, left)
            if not part and not data:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts), at


class InflatedWindow(io.RawIOBase):
    """What deflated bytes of a file become, as a file of its own."""

    def __init__(self, deflated: DeflatedBytes) -> None:
        super().__init__()
        self._deflated = deflated
        self.path, self.start, self.size = deflated.path, deflated.start, deflated.size
        self._file = deflated.path.open("rb", buffering=0)
        self._at = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def _block(self, number: int) -> bytes:
        block = self._kept.get(number)
        if block is None:
            block = self._kept[number] = self._deflated.block(self._file, number)
            if len(self._kept) > KEPT_BLOCKS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return block

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"a place before the beginning: {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self.size - self._at)]
        done = 0
        while done < len(view):
            number, begin = divmod(self._at, BLOCK_BYTES)
            part = memoryview(self._block(number))[begin : begin + len(view) - done]
            view[done : done + len(part)] = part
            done += len(part)
            self._at += len(part)
        return done

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
