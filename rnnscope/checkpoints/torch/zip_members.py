"""The members of a PyTorch zip archive: listed once, checked, large ones mapped."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import AnyFile, map_file, read_in_pieces
from rnnscope.files.archives.zip_window import place_of_stored
from rnnscope.files.guarding.limits import Unpacking

MAPPED_BYTES = 16 * 2**20
"""A member from this size on is mapped: what nobody asks for then takes no memory."""


class ZipMembers:
    """The members of an archive, opened once, by name.

    Parameters
    ----------
    path : Path or InnerFile

    Raises
    ------
    CheckpointError
        It is no complete zip file; later, where a member is damaged.
    """

    def __init__(self, path: AnyFile) -> None:
        self._path = path
        with self._refusing():
            self._archive = zipfile.ZipFile(path if isinstance(path, Path) else path.open())
        self._by_name: defaultdict[str, list[zipfile.ZipInfo]] = defaultdict(list)
        for info in self._archive.infolist():
            self._by_name[info.filename].append(info)
        self._kept: tuple[str, Any] = ("", b"")
        self._unpacking = Unpacking(path, path.stat().st_size, CheckpointError)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def infos(self) -> list[zipfile.ZipInfo]:
        """What the archive says of its members."""
        return self._archive.infolist()

    def head(self, info: zipfile.ZipInfo, count: int = 16) -> bytes:
        """The first bytes of a member; none of one that is encrypted."""
        if info.flag_bits & 0x1:
            return b""
        with self._refusing(), self._archive.open(info) as member:
            return member.read(count)

    def read(self, name: str, cap: int, where: object = None) -> bytes:
        """A member's bytes, after its claims are checked."""
        info = self._info(name, cap, where)
        with self._refusing(), self._archive.open(info) as member:
            return member.read(info.file_size)

    def storage(self, name: str, cap: int, *, is_shared: bool) -> Any:
        """The same for the bytes of a storage, mapped where it is large.

        Parameters
        ----------
        is_shared : bool
            Whether the next one who asks may want it too: the last of these is kept.
        """
        if self._kept[0] == name:
            return self._kept[1]
        info = self._info(name, cap, None)
        if info.compress_type == zipfile.ZIP_STORED and info.file_size >= MAPPED_BYTES:
            with self._refusing():
                data: Any = self._mapped(info)
        else:
            with self._refusing(), self._archive.open(info) as member:
                data = read_in_pieces(cast("BinaryIO", member), info.file_size)
        if is_shared:
            self._kept = (name, data)
        return data

    def _info(self, name: str, cap: int, where: object) -> zipfile.ZipInfo:
        entries = self._by_name.get(name, [])
        where = where or self._path
        if len(entries) != 1:
            raise damaged(where, f"one member '{name}'", f"{len(entries)}")
        (info,) = entries
        # torch never compresses; what is compressed all the same cannot have grown more than
        # deflate.
        if info.file_size > min(cap, 1032 * max(info.compress_size, 1)):
            raise damaged(f"{where}: {name}", f"at most {cap} bytes", f"{info.file_size}")
        if info.compress_type != zipfile.ZIP_STORED:
            self._unpacking.take(info.file_size, name)
        return info

    def _mapped(self, info: zipfile.ZipInfo) -> memoryview:
        """A member that is not compressed, as it lies in the file; its checksum is right."""
        with self._path.open("rb") as file:
            begin = place_of_stored(file, info)
        view: memoryview = map_file(self._path)[begin : begin + info.file_size]
        return view

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, EOFError, RuntimeError, struct.error, zlib.error,
                zipfile.BadZipFile) as error:  # fmt: skip
            raise damaged(self._path, "a complete zip file", str(error)[:200]) from error


def damaged(where: object, expected: str, found: str) -> CheckpointError:
    """The error for a file whose parts do not fit."""
    return CheckpointError(
        "The PyTorch file is truncated or damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="copy or download the file again, and compare its size with the original",
    )
