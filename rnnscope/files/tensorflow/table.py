"""Reader of TensorFlow's table files: sorted keys and values in checksummed blocks.

The ``.index`` of a Saver V2 checkpoint is such a table, and so is a whole V1 checkpoint. The
layout is LevelDB's: data blocks, an index block that points at them, and a footer of 48 bytes
that points at the index block.

References
----------
tensorflow/core/lib/io/format.h, format.cc, block.cc; LevelDB doc/table_format.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import google_crc32c

from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.snappy import decompress_snappy, read_varint
from rnnscope.model.cell import Array

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER_SIZE = 48
TRAILER_SIZE = 5
"""Behind every block: one byte of compression type, four of masked CRC32C over block and type."""

UNCOMPRESSED, SNAPPY = 0, 1

# Keys share prefixes only within a restart group (TensorFlow writes 16 entries a group), so the
# keys of an honest block come to 16 times its size at most. Without a limit, a file of a megabyte
# could spell out terabytes of keys.
MAX_KEY_EXPANSION = 64

COPY_AGAIN = "copy the checkpoint again from where it was written, and compare the file sizes"


class BlockHandle(NamedTuple):
    """Where a block lies in the file, in bytes, without its trailer."""

    offset: int
    size: int


class _MalformedError(Exception):
    """A block does not decode; `read_table` adds the place and makes a CheckpointError of it."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found


def masked_crc32c(data: bytes | Array) -> int:
    """The CRC32C of `data` as TensorFlow and LevelDB store it: rotated, plus a constant."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def is_table_file(path: Path) -> bool:
    """Whether `path` ends with the footer magic of a table file; never raises."""
    try:
        with path.open("rb") as file:
            file.seek(-len(MAGIC), os.SEEK_END)
            return file.read() == MAGIC
    except (OSError, ValueError):
        return False


def read_table(path: Path) -> dict[bytes, bytes]:
    """Read a whole table file.

    Returns
    -------
    dict of bytes to bytes
        In the order of the file, which is the order of the keys.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated or corrupted; it names the path and the block.
    """
    return dict(iter_table(path))


def iter_table(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table file in order, holding one block at a time.

    Raises
    ------
    CheckpointError
        As `read_table`.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            index = _index_handle(file, path, size)
            previous: bytes | None = None
            for _, encoded in _read_block(file, path, index, size):
                handle = _decode_handle(encoded, path, index)
                for key, value in _read_block(file, path, handle, size):
                    if previous is not None and key <= previous:
                        raise _corrupted(
                            path,
                            handle,
                            _MalformedError(f"a key above {previous!r}", f"{key!r}"),
                        )
                    previous = key
                    yield key, value
    except OSError as error:
        raise CheckpointError(
            "A checkpoint file cannot be opened.",
            where=path,
            found=error.strerror or type(error).__name__,
            hint="check the path and its permissions",
        ) from error


def _index_handle(file: BinaryIO, path: Path, size: int) -> BlockHandle:
    if size < FOOTER_SIZE:
        raise CheckpointError(
            "A checkpoint file is empty." if size == 0 else "A checkpoint file is too short.",
            where=path,
            expected=f"a table file of at least {FOOTER_SIZE} bytes",
            found=f"{size} bytes",
            hint=COPY_AGAIN,
        )
    file.seek(size - FOOTER_SIZE)
    footer = file.read(FOOTER_SIZE)
    if not footer.endswith(MAGIC):
        raise CheckpointError(
            "A checkpoint file is truncated, or no table file.",
            where=path,
            expected=f"the magic number {MAGIC.hex()} in its last 8 bytes",
            found=f"{footer[-len(MAGIC) :].hex()} at the end of {size} bytes",
            hint=COPY_AGAIN,
        )
    # The footer is two handles, meta index and index, padded with zeros.
    at_footer = BlockHandle(size - FOOTER_SIZE, FOOTER_SIZE)
    try:
        _, position = read_varint(footer, 0)
        _, position = read_varint(footer, position)
    except ValueError as error:
        raise _corrupted(
            path, at_footer, _MalformedError("two block handles", str(error))
        ) from error
    return _decode_handle(footer[position:], path, at_footer)


def _decode_handle(encoded: bytes, path: Path, holder: BlockHandle) -> BlockHandle:
    try:
        offset, position = read_varint(encoded, 0)
        size, _ = read_varint(encoded, position)
    except ValueError as error:
        raise _corrupted(path, holder, _MalformedError("a block handle", str(error))) from error
    return BlockHandle(offset, size)


def _read_block(
    file: BinaryIO, path: Path, handle: BlockHandle, file_size: int
) -> Iterator[tuple[bytes, bytes]]:
    """The entries of one block, after its bounds and checksum have been verified."""
    end = handle.offset + handle.size + TRAILER_SIZE
    if end > file_size - FOOTER_SIZE:
        raise _corrupted(
            path,
            handle,
            _MalformedError(
                f"{handle.size} bytes and a trailer",
                f"room for {max(0, file_size - FOOTER_SIZE - handle.offset)} bytes",
            ),
        )
    file.seek(handle.offset)
    stored = file.read(handle.size + TRAILER_SIZE)
    try:
        return iter(_decode_entries(_verified(stored, handle.size)))
    except _MalformedError as error:
        raise _corrupted(path, handle, error) from error


def _verified(stored: bytes, size: int) -> bytes:
    """The uncompressed contents of a block from its stored bytes and trailer."""
    if len(stored) != size + TRAILER_SIZE:
        raise _MalformedError(f"{size + TRAILER_SIZE} bytes", f"{len(stored)} bytes")
    expected = int.from_bytes(stored[size + 1 :], "little")
    found = masked_crc32c(stored[: size + 1])
    if found != expected:
        raise _MalformedError(f"masked CRC32C {expected:08x}", f"{found:08x}")
    compression = stored[size]
    if compression == UNCOMPRESSED:
        return stored[:size]
    if compression != SNAPPY:
        raise _MalformedError("compression type 0 (none) or 1 (snappy)", f"{compression}")
    try:
        return decompress_snappy(stored[:size])
    except ValueError as error:
        raise _MalformedError("a snappy block", str(error)) from error


def _decode_entries(block: bytes) -> list[tuple[bytes, bytes]]:
    """Entries up to the restart array; each key shares a prefix with the one before it."""
    restarts = int.from_bytes(block[-4:], "little") if len(block) >= 4 else 0
    end = len(block) - 4 * (restarts + 1)
    if len(block) < 4 or end < 0:
        raise _MalformedError(f"{restarts} restart offsets", f"a block of {len(block)} bytes")
    entries: list[tuple[bytes, bytes]] = []
    key, position, spelled = b"", 0, 0
    while position < end:
        try:
            shared, position = read_varint(block, position)
            fresh, position = read_varint(block, position)
            length, position = read_varint(block, position)
        except ValueError as error:
            raise _MalformedError("an entry of the table", str(error)) from error
        stop = position + fresh + length
        if shared > len(key) or stop > end:
            raise _MalformedError(
                f"an entry within {end} bytes, sharing at most {len(key)} bytes of key",
                f"one that ends at {stop} and shares {shared}",
            )
        spelled += shared + fresh
        if spelled > MAX_KEY_EXPANSION * len(block):
            raise _MalformedError(f"keys of at most {MAX_KEY_EXPANSION * len(block)} bytes", "more")
        key = key[:shared] + block[position : position + fresh]
        entries.append((key, block[position + fresh : stop]))
        position = stop
    return entries


def _corrupted(path: Path, handle: BlockHandle, problem: _MalformedError) -> CheckpointError:
    return CheckpointError(
        "A checkpoint file is corrupted.",
        where=f"{path}, block at byte {handle.offset}",
        expected=problem.expected,
        found=problem.found,
        hint=COPY_AGAIN,
    )
