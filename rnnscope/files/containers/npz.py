"""``.npz`` archives: large uncompressed members are read in place, part by part.

A zip archive stores an uncompressed member as its bytes, one after the other, so the values of an
``.npy`` member lie at a known offset in the archive. Compressed members, and small ones, are loaded
once, when a value is asked for, which checks their CRC-32 too.
"""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.arrays import stored_array
from rnnscope.files.arrays.stored_array import FileArray, LateArray, LoadedArray, StoredArray
from rnnscope.files.containers.npy import read_npy_header
from rnnscope.files.guarding.limits import Unpacking
from rnnscope.model.cell import Array

LOAD_AT_MOST_BYTES = 8 * 2**30
"""The largest compressed member that is loaded whole."""

DEFLATE_LIMIT = 1040
"""Deflate cannot shrink anything by more than 1032 (zlib's technical notes); bzip2 and lzma could,
and no array of states or inputs comes near it."""

LOCAL_HEADER_BYTES = 30

DAMAGE = (
    ValueError,  # damaged npy header, objects
    OSError,
    EOFError,
    RuntimeError,  # encrypted, or an unknown compression method
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,  # CRC-32
)
"""What reading a member ends in."""


def member_names(path: Path) -> list[str]:
    """The names of a zip's members; none where no zip can be listed. Never raises."""
    try:
        if not path.is_file():
            return []
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


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
        self._there = path.absolute()  # arrays are opened later, and the folder may be changed
        self._opened: list[FileArray] = []
        self._unpacking = Unpacking(path, path.stat().st_size, InputError)
        try:
            # Kept open: reading the list of members again for each of them would be quadratic.
            self._archive = zipfile.ZipFile(path)
            members = self._archive.infolist()
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

    def array(self, name: str) -> StoredArray:
        """The member `name`: read in place if large and uncompressed, else loaded once.

        Raises
        ------
        InputError
            The member is damaged, compressed beyond belief, or holds objects.
        """
        info = self._members[name]
        try:
            with self._archive.open(info) as member:
                shape, fortran, dtype = read_npy_header(member)
                start = member.tell()
            self._check_sizes(info, start + math.prod(shape) * dtype.itemsize)
            in_place = info.compress_type == zipfile.ZIP_STORED
            if in_place and info.file_size >= stored_array.LOAD_BELOW_BYTES:
                offset = self._data_offset(info) + start
                array = FileArray(self._there, offset, shape, dtype, fortran)
                self._opened.append(array)
                return array
            if info.file_size >= stored_array.LOAD_BELOW_BYTES and not dtype.hasobject:
                return LateArray(shape, dtype, partial(self._load, name))
        except DAMAGE as error:
            raise self._unreadable(name, error) from error
        return LoadedArray(self._load(name))

    def _load(self, name: str) -> Array:
        """The values of a member."""
        try:
            with self._archive.open(self._members[name]) as member:
                loaded: Array = np.lib.format.read_array(member, allow_pickle=False)
        except DAMAGE as error:
            raise self._unreadable(name, error) from error
        return loaded

    def close(self) -> None:
        self._archive.close()
        for array in self._opened:
            array.close()

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
        self._unpacking.take(declared, info.filename)

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        """Where the member's bytes begin: the local header has its own name and extra lengths."""
        with self._there.open("rb") as file:
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
