"""A member of a zip that is not compressed, read where it lies in the file.

References
----------
PKWARE's APPNOTE.TXT, 4.3.7: the header in front of a member's bytes, whose name and extra field may
be longer than those of the list at the end of the file.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

CHECKED_BYTES = 2**20
"""What is read of a member at a time while its checksum is computed."""

LOCAL_HEADER = struct.Struct("<4s22xHH")
LOCAL_START = b"PK\x03\x04"


def place_of(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin, compressed or not.

    Raises
    ------
    zipfile.BadZipFile, struct.error
        There is no such member, or it is encrypted.
    """
    file.seek(info.header_offset)
    start, names, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    if start != LOCAL_START or info.flag_bits & 0x1:
        raise zipfile.BadZipFile(f"{info.filename}: no header in front of it")
    return info.header_offset + LOCAL_HEADER.size + int(names) + int(extra)


def place_of_stored(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin that is not compressed; its checksum is right.

    Parameters
    ----------
    file : binary file object
        The zip.
    info : ZipInfo
        Of a stored member.

    Raises
    ------
    zipfile.BadZipFile, struct.error
        There is no such member, or its bytes are others.
    """
    if info.file_size != info.compress_size:
        raise zipfile.BadZipFile(f"{info.filename}: two sizes of what is not compressed")
    begin = place_of(file, info)
    file.seek(begin)
    block = memoryview(bytearray(min(info.file_size, CHECKED_BYTES)))
    checksum, left = 0, info.file_size
    while left and (size := file.readinto(block[:left])):  # type: ignore[attr-defined]
        checksum = zlib.crc32(block[:size], checksum)
        left -= size
    if left or checksum != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file '{info.filename}'")
    return begin


class FileWindow(io.RawIOBase):
    """Some bytes of a file as a file of their own: what nobody reads takes no memory.

    They are read, not mapped: a file that is cut meanwhile would end a process that has mapped it.

    Parameters
    ----------
    path : Path
    start, size : int
        Bytes.
    """

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__()
        self.path, self.start, self.size = path, start, size
        self._file = path.open("rb", buffering=0)
        self._at = 0

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
        left = max(0, self.size - self._at)
        self._file.seek(self.start + self._at)
        count = self._file.readinto(memoryview(buffer).cast("B")[:left]) or 0
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
