"""A file inside another: a member of an archive, as bytes that are mapped or were unpacked.

Nothing is written anywhere. An `InnerFile` has the few methods of a `Path` that readers of single
files use, so that one reader serves both.
"""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast


class InnerFile:
    """A file inside another one.

    Parameters
    ----------
    outer : Path
    name : str
        Of the member, with slashes.
    data : bytes or memoryview
        Its content.
    beside : mapping of str to InnerFile, optional
        All members of the same archive, by their whole names.
    """

    def __init__(
        self,
        outer: Path,
        name: str,
        data: bytes | memoryview,
        beside: Mapping[str, InnerFile] | None = None,
    ) -> None:
        self.outer, self.inner_name, self.data = outer, name, memoryview(data)
        self._beside: Mapping[str, InnerFile] = {name: self} if beside is None else beside
        self._exists = True

    def __str__(self) -> str:
        return f"{self.outer}: {self.inner_name}"

    @property
    def name(self) -> str:
        """The last part of the member's name."""
        return self.inner_name.rpartition("/")[2]

    def with_name(self, name: str) -> InnerFile:
        """The member of another name beside it; one that is no file where there is none."""
        folder, slash, _ = self.inner_name.rpartition("/")
        whole = f"{folder}{slash}{name}"
        found = self._beside.get(whole)
        if found is None:
            found = InnerFile(self.outer, whole, b"", self._beside)
            found._exists = False
        return found

    def is_file(self) -> bool:
        """Whether there is such a member."""
        return self._exists

    def stat(self) -> os.stat_result:
        """A `stat_result` of which the size alone says something."""
        return os.stat_result((0, 0, 0, 0, 0, 0, len(self.data), 0, 0, 0))

    def open(self, mode: str = "rb", buffering: int = -1) -> BinaryIO:
        """The content as a file object to read from."""
        assert mode == "rb", mode
        raw = _ViewReader(self.data)
        return cast("BinaryIO", raw if buffering == 0 else io.BufferedReader(raw))

    def read_bytes(self) -> bytes:
        """The whole content."""
        return bytes(self.data)


AnyFile = Path | InnerFile


def map_file(path: AnyFile) -> Any:
    """A file's bytes without reading them: a map of it, or a view of the member.

    Raises
    ------
    OSError, ValueError
        It cannot be mapped; an empty file cannot.
    """
    if isinstance(path, InnerFile):
        return path.data
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


PIECE_BYTES = 2**20


def read_in_pieces(stream: BinaryIO, size: int) -> memoryview:
    """At most so many bytes of a stream that unpacks: read at once, some keep several copies."""
    content = memoryview(bytearray(size))
    done = 0
    while done < size:
        count = stream.readinto(content[done : done + PIECE_BYTES])  # type: ignore[attr-defined]
        if not count:
            break
        done += count
    return content[:done].toreadonly()


class _ViewReader(io.RawIOBase):
    """Bytes as a file that is read without a copy of the whole."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._data, self._at = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        if start + offset < 0:
            raise ValueError(f"a place before the beginning: {start + offset}")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._data[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
