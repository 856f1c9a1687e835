"""The members of a `.keras` file: a config, metadata, and the weights as HDF5."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inflated_window import DeflatedBytes
from rnnscope.files.archives.zip_window import FileWindow, place_of, place_of_stored
from rnnscope.files.guarding.limits import Unpacking, check_time
from rnnscope.files.hdf5.safe_hdf5 import MAX_ARRAY, MAX_RATIO
from rnnscope.files.messages.json_config import MAX_CONFIG

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

READ_IN_PLACE_BYTES = 2**20
"""Weights from this size on are read where they lie in the zip, compressed or not."""


@dataclass(frozen=True)
class KerasMembers:
    """What a `.keras` file holds.

    Attributes
    ----------
    config, metadata : bytes
        JSON.
    open_weights : callable
        ``open_weights() -> binary file object``: the HDF5 file, from its beginning.
    """

    config: bytes
    metadata: bytes
    open_weights: Callable[[], BinaryIO]


def looks_like_keras_zip(path: Path) -> bool:
    """Whether a file has the members of a `.keras` file. Never raises."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
        with zipfile.ZipFile(path) as archive:
            return {CONFIG, METADATA} <= set(archive.namelist())
    except zipfile.BadZipFile:
        # A cut off zip has lost its list of members; the first one still stands at the front.
        return head.startswith(b"PK\x03\x04") and head[30:].startswith(_FIRST_MEMBERS)
    except _DAMAGE:
        return False


_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises on damage, depending on where it meets it; RuntimeError for a password."""

_FIRST_MEMBERS = (METADATA.encode(), CONFIG.encode())


def _checked(archive: zipfile.ZipFile, name: str, cap: int, where: Path) -> zipfile.ZipInfo:
    """A member whose claims are possible."""
    entries = [info for info in archive.infolist() if info.filename == name]
    if len(entries) != 1:
        raise CheckpointError(
            "The .keras file does not hold what it should.",
            where=where,
            expected=f"one member '{name}'",
            found=f"{len(entries)} of that name among {len(archive.infolist())} members",
            hint="The file is incomplete, or not written by Keras.",
        )
    if entries[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CheckpointError(
            "A member of the .keras file is compressed in a way that Keras does not use.",
            where=f"{where}: {name}",
            expected="stored or deflated",
            found=f"method {entries[0].compress_type}",
            hint="Pack the file again with an ordinary zip program.",
        )
    size, stored = entries[0].file_size, entries[0].compress_size
    if size > min(cap, stored * MAX_RATIO):
        raise CheckpointError(
            "A member of the .keras file declares more bytes than it can hold.",
            where=f"{where}: {name}",
            expected=f"at most {min(cap, stored * MAX_RATIO)} bytes",
            found=f"{size} bytes",
            hint="The file is damaged, or made to exhaust memory.",
        )
    return entries[0]


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, unpacking: Unpacking) -> bytes:
    """A member's bytes; nothing is unpacked to disk."""
    unpacking.take(info.file_size, info.filename)
    with archive.open(info) as member:
        # Never more than was declared, whatever the compressed stream goes on to say.
        return member.read(info.file_size)


def _unreadable(where: object, fault: Exception) -> CheckpointError:
    return CheckpointError(
        "The .keras file cannot be read: it is truncated or damaged.",
        where=where,
        expected="a complete zip file",
        found=str(fault)[:200] or type(fault).__name__,
        hint="Copy or download the file again, and compare its size with the original.",
    )


def read_members(path: Path) -> KerasMembers:
    """The members of a `.keras` file, the weights where they lie if that can be.

    Raises
    ------
    CheckpointError
        It is missing, incomplete or damaged.
    """
    if not path.is_file():
        raise CheckpointError("There is no such file.", where=path, hint="Check the path.")
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGE as fault:
        raise _unreadable(path, fault) from fault
    unpacking = Unpacking(path, path.stat().st_size, CheckpointError)
    with archive:
        contents = {}
        for name, cap in ((CONFIG, MAX_CONFIG), (METADATA, MAX_CONFIG)):
            with _refusing_damage(path, name):
                contents[name] = _content(archive, _checked(archive, name, cap, path), unpacking)
        with _refusing_damage(path, WEIGHTS):
            info = _checked(archive, WEIGHTS, MAX_ARRAY, path)
            open_weights = _opener(archive, info, path, unpacking)
    return KerasMembers(contents[CONFIG], contents[METADATA], open_weights)


def _opener(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, unpacking: Unpacking
) -> Callable[[], BinaryIO]:
    """What opens the weights, now and again; their checksum is looked at once."""
    if info.file_size < READ_IN_PLACE_BYTES:
        return partial(io.BytesIO, _content(archive, info, unpacking))
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            start = place_of_stored(file, info)
        return cast("Callable[[], BinaryIO]", partial(FileWindow, path, start, info.file_size))
    unpacking.take(info.file_size, info.filename)
    with path.open("rb") as file:
        start = place_of(file, info)
    check = partial(check_time, path, CheckpointError)
    deflated = DeflatedBytes(path, start, info.compress_size, info.file_size, info.CRC, check)
    return cast("Callable[[], BinaryIO]", deflated.open)


@contextmanager
def _refusing_damage(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as fault:
        raise _unreadable(f"{path}: {name}", fault) from fault
