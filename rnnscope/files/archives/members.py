"""The members of tars and zips as files, within limits; nothing is written to the disk.

A tar that is not compressed is mapped; of one that is, only what may be a saved model is kept in
memory, and all that is unpacked counts (`rnnscope.files.guarding.limits`).
Links, devices and sparse members are passed over: a saved model needs none.

References
----------
POSIX.1-1988 (ustar) and POSIX.1-2001 (pax), as Python's tarfile reads them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, BinaryIO, cast

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.first_bytes import BZIP2, GZIP, HEAD_BYTES, XZ, is_tar, may_be_model
from rnnscope.files.archives.inner_file import InnerFile, map_file, read_in_pieces
from rnnscope.files.guarding.limits import Unpacking, check_time

MAX_MEMBERS = 100_000

_OPEN: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (GZIP, gzip.GzipFile),
    (BZIP2, bz2.BZ2File),
    (XZ, lzma.LZMAFile),
)
_DAMAGE = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError,
           struct.error, OverflowError)  # fmt: skip


@dataclass
class Members:
    """What an archive holds.

    Attributes
    ----------
    names : list of str
        Of all files in it.
    files : dict of str to InnerFile
        Those that may hold a saved model, by name.
    """

    names: list[str] = field(default_factory=list)
    files: dict[str, InnerFile] = field(default_factory=dict)

    def add(self, path: Path, name: str, data: bytes | memoryview) -> None:
        """Keep a member."""
        self.files[name] = InnerFile(path, name, data, self.files)


def looks_like_tar(path: Path) -> bool:
    """Whether a file is a tar, compressed or not. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        opener = _opener(head)
        if opener is None:
            return is_tar(head)
        with opener(path) as stream:
            return is_tar(stream.read(HEAD_BYTES))
    except _DAMAGE:
        return False


def _opener(head: bytes) -> Callable[[Path], Any] | None:
    return next((opener for start, opener in _OPEN if head.startswith(start)), None)


def read_tar(path: Path) -> Members:
    """The members of a tar.

    Raises
    ------
    CheckpointError
        It is damaged, or unpacks to more than it may.
    """
    members = Members()
    with path.open("rb") as file:
        opener = _opener(file.read(8))
    with _refusing(path):
        if opener is None:
            whole = map_file(path)
            with tarfile.open(path, "r:") as archive:
                for info in _plain_members(archive, path, members):
                    data = whole[info.offset_data : info.offset_data + info.size]
                    if len(data) != info.size:
                        raise EOFError(f"'{info.name}' would end behind the file")
                    if may_be_model(bytes(data[:16])):
                        members.add(path, info.name, data)
            return members
        counted = _Counted(opener(path), Unpacking(path, path.stat().st_size, CheckpointError))
        with counted, tarfile.open(fileobj=counted, mode="r|") as archive:
            for info in _plain_members(archive, path, members):
                stream = archive.extractfile(info)
                if stream is None:
                    continue
                head = cast("io.BufferedReader", stream).peek(16)[:16] if info.size else b""
                if may_be_model(head):
                    content = read_in_pieces(cast("BinaryIO", stream), info.size)
                    members.add(path, info.name, content)
    return members


def _plain_members(
    archive: tarfile.TarFile, path: Path, members: Members
) -> Iterator[tarfile.TarInfo]:
    for number, info in enumerate(archive):
        check_time(path, CheckpointError)
        if number > MAX_MEMBERS:
            raise ValueError(f"more than {MAX_MEMBERS} members")
        if info.isreg() and not info.issparse():
            members.names.append(info.name)
            yield info


class _Counted(io.RawIOBase):
    """What is unpacked from a stream, counted as it comes."""

    def __init__(self, stream: BinaryIO, unpacking: Unpacking) -> None:
        super().__init__()
        self._stream, self._unpacking = stream, unpacking

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._stream.read(len(buffer))
        self._unpacking.take(len(part), "the archive")
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise CheckpointError(
            "The archive is truncated or damaged.",
            where=path,
            expected="a complete tar",
            found=str(error)[:200] or type(error).__name__,
            hint="copy or download the file again, and compare its size with the original",
        ) from error
