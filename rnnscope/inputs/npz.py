"""``.npz`` archives: large uncompressed members are memory-mapped in place.

A zip archive stores an uncompressed member as its bytes, one after the other, so an ``.npy`` member
can be mapped at its offset in the archive. Compressed members, and small ones, are loaded once,
which checks their CRC-32 too.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from rnnscope.cell import Array
from rnnscope.errors import InputError

MAP_FROM_BYTES = 16 * 2**20
"""From this size on, arrays are mapped; below, mapping saves nothing."""

LOAD_AT_MOST_BYTES = 8 * 2**30
"""The largest compressed member that is loaded whole."""

DEFLATE_LIMIT = 1040
"""Deflate cannot shrink anything by more than 1032 (zlib's technical notes); bzip2 and lzma could,
and no array of states or inputs comes near it."""

LOCAL_HEADER_BYTES = 30


class NpzFile:
    """The arrays of an ``.npz`` archive.

    Attributes
    ----------
    names : tuple of str
        The members' names without ``.npy``, in the order of the archive.
    """

    kind = "npz"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise self._unreadable("the archive", error) from error
        self._members = {
            info.filename.removesuffix(".npy"): info
            for info in members
            if info.filename.endswith(".npy")
        }
        self.names = tuple(self._members)
        if not self.names:
            raise InputError(
                "The zip archive holds no NumPy arrays.",
                where=path,
                expected="members that end in .npy, as numpy.savez writes them",
                found=", ".join(info.filename for info in members[:5]) or "no members",
                hint="a .keras or .pt file is a checkpoint: name it first, and the input second",
            )

    def array(self, name: str) -> Array:
        """The member `name`: a read-only memory map if large and uncompressed, else loaded.

        Raises
        ------
        InputError
            The member is damaged, compressed beyond belief, or holds objects.
        """
        info = self._members[name]
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as member:
                shape, fortran, dtype = _read_npy_header(member)
                start = member.tell()
            self._check_sizes(info, start + math.prod(shape) * dtype.itemsize)
            stored = info.compress_type == zipfile.ZIP_STORED
            if stored and info.file_size >= MAP_FROM_BYTES:
                return np.memmap(
                    self.path,
                    dtype,
                    "r",
                    self._data_offset(info) + start,
                    shape,
                    "F" if fortran else "C",
                )
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as member:
                return np.lib.format.read_array(member, allow_pickle=False)
        except (
            ValueError,  # damaged npy header, objects
            OSError,
            EOFError,
            RuntimeError,  # encrypted, or an unknown compression method
            struct.error,
            zlib.error,
            zipfile.BadZipFile,  # CRC-32
        ) as error:
            raise self._unreadable(name, error) from error

    def close(self) -> None:
        """Nothing is held open: a memory map goes when its last view does."""

    def _check_sizes(self, info: zipfile.ZipInfo, declared: int) -> None:
        """Refuse sizes that the archive cannot hold, before anything is allocated."""
        if declared != info.file_size:
            raise ValueError(f"the array takes {declared} bytes, the member has {info.file_size}")
        if info.compress_type == zipfile.ZIP_STORED:
            return
        if declared > min(LOAD_AT_MOST_BYTES, DEFLATE_LIMIT * max(info.compress_size, 1)):
            raise ValueError(
                f"a compressed member of {info.compress_size} bytes declares {declared} bytes"
            )

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        """Where the member's bytes begin: the local header has its own name and extra lengths."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            name_bytes, extra_bytes = struct.unpack_from("<HH", file.read(LOCAL_HEADER_BYTES), 26)
        return int(info.header_offset + LOCAL_HEADER_BYTES + name_bytes + extra_bytes)

    def _unreadable(self, name: str, error: Exception) -> InputError:
        return InputError(
            "The .npz file cannot be read.",
            where=f"{self.path} ({name})",
            expected="a whole archive of arrays of numbers, without pickled objects",
            found=str(error),
            hint="save it again with numpy.savez",
        )


def _read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype of an ``.npy``; version 3 is for structured dtypes only."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"an .npy header of version {version}")
    if dtype.hasobject:
        raise ValueError("an object array, which only pickle could load")
    return shape, fortran, dtype
