"""The ``.index`` of a Saver V2 bundle: what it holds, and where in the shards it lies.

Everything that an index declares is checked here, against itself and against the sizes of the
shards, before a tensor is allocated.

References
----------
tensorflow/core/util/tensor_bundle/tensor_bundle.cc;
tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.ordered_code import FULL_EXTENT
from rnnscope.files.tensorflow.protos import STORED_DTYPES, dtype_name, parse, shape_of
from rnnscope.files.tensorflow.table import COPY_AGAIN, iter_table, read_table

HEADER_KEY = b""
SLICE_PREFIX = b"\x00"
"""Keys of slices start with it (see `slice_key`); names of variables never do."""

BUNDLE_VERSION = 1
"""The newest version of the format that this reader knows, as TensorFlow 2.21 writes it."""

Extents = tuple[tuple[int, int], ...]
"""Start and length on every axis of a slice."""


class BundleEntry(NamedTuple):
    """A BundleEntryProto: a tensor or slice and its place in a shard, or the slices of a whole."""

    key: bytes
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    slices: tuple[Extents, ...]

    @property
    def name(self) -> str:
        return self.key.decode(errors="backslashreplace")

    @property
    def is_slice(self) -> bool:
        """Whether it is a part that a partitioned variable's own entry leads to."""
        return self.key.startswith(SLICE_PREFIX)


class Shard(NamedTuple):
    """A ``.data-…`` file and its size in bytes."""

    path: Path
    size: int


class BundleIndex(NamedTuple):
    """A checked index: its file, its entries by key, and the shards that hold something."""

    path: Path
    entries: dict[bytes, BundleEntry]
    shards: dict[int, Shard]


def index_path(prefix: Path) -> Path:
    """The index file of a bundle; of no file for a path without a name, such as ``.``."""
    return Path(f"{prefix}.index")


def is_bundle_index(path: Path) -> bool:
    """Whether a file is the index of a bundle, by its header; never raises.

    A V1 checkpoint is a table file too, with another message under the same first key; parsed as
    a bundle's header, it declares no shards.
    """
    try:
        key, value = next(iter_table(path), (b"", b""))
        header = parse("BundleHeaderProto", value, path)
    except CheckpointError:
        return False
    return key == HEADER_KEY and header.num_shards > 0


def read_index(prefix: Path) -> BundleIndex:
    """Read the index of a bundle and check it against the shards beside it.

    Raises
    ------
    CheckpointError
        If the index or a shard is missing, truncated or corrupted, or the bundle was written on
        a big-endian machine or by a newer format.
    """
    path = index_path(prefix)
    table = read_table(path)
    num_shards = _read_header(table.pop(HEADER_KEY, b""), path)
    entries = {key: _read_entry(key, value, path) for key, value in table.items()}
    stored = [entry for entry in entries.values() if not entry.slices]
    shards = _find_shards(prefix, num_shards, {entry.shard for entry in stored})
    for entry in stored:
        _check_bounds(entry, shards[entry.shard])
    return BundleIndex(path, entries, shards)


def _read_header(value: bytes, index: Path) -> int:
    """The number of shards, once the header is one that this reader can honour."""
    header = parse("BundleHeaderProto", value, index)
    if header.num_shards < 1:
        raise CheckpointError(
            "A table file is not the index of a checkpoint.",
            where=index,
            expected="a header that declares at least one shard",
            found="none",
            hint="name the prefix, the .index or the folder of a TensorFlow checkpoint",
        )
    if header.endianness != 0:
        raise CheckpointError(
            "A checkpoint was written on a big-endian machine.",
            where=index,
            expected="little-endian tensors",
            found="big-endian ones",
            hint="load and save it again with TensorFlow on a little-endian machine",
        )
    if header.version.min_consumer > BUNDLE_VERSION:
        raise CheckpointError(
            "A checkpoint is of a newer format than rnnscope knows.",
            where=index,
            expected=f"a bundle that readers of version {BUNDLE_VERSION} can read",
            found=f"version {header.version.min_consumer}",
            hint="upgrade rnnscope",
        )
    return int(header.num_shards)


def _read_entry(key: bytes, value: bytes, index: Path) -> BundleEntry:
    where = f"{index}, entry {key!r}"
    entry = parse("BundleEntryProto", value, where)
    slices = tuple(
        tuple(
            (extent.start, extent.length if extent.HasField("length") else FULL_EXTENT)
            for extent in part.extent
        )
        for part in entry.slices
    )
    shape = shape_of(entry.shape, where)
    if not slices and entry.dtype in STORED_DTYPES:
        size = math.prod(shape) * STORED_DTYPES[entry.dtype].itemsize
        if entry.size != size:
            expected = f"{size} bytes for {dtype_name(entry.dtype)} {shape}"
            raise corrupted(where, expected, f"{entry.size} bytes")
    return BundleEntry(
        key, entry.dtype, shape, entry.shard_id, entry.offset, entry.size, entry.crc32c, slices
    )


def _find_shards(prefix: Path, num_shards: int, numbers: Iterable[int]) -> dict[int, Shard]:
    shards = {}
    for number in sorted(numbers):
        if not 0 <= number < num_shards:
            raise corrupted(index_path(prefix), f"a shard below {num_shards}", f"{number}")
        path = prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{num_shards:05d}")
        if not path.is_file():
            there = sorted(other.name for other in prefix.parent.glob("*.data-*-of-*"))
            raise CheckpointError(
                "A shard of a checkpoint is missing.",
                where=prefix,
                expected=path.name,
                found=", ".join(there) or "no .data-… file in this folder",
                hint="copy all files of the checkpoint into one folder",
            )
        shards[number] = Shard(path.absolute(), path.stat().st_size)
    return shards


def _check_bounds(entry: BundleEntry, shard: Shard) -> None:
    end = entry.offset + entry.size
    if entry.offset < 0 or entry.size < 0 or end > shard.size:
        raise CheckpointError(
            "A shard of a checkpoint is truncated.",
            where=f"{shard.path}, variable {entry.name}",
            expected=f"bytes {entry.offset} to {end}",
            found=f"a file of {shard.size} bytes",
            hint=COPY_AGAIN,
        )


def corrupted(where: object, expected: str, found: str) -> CheckpointError:
    """The error for bytes of a checkpoint that contradict each other."""
    return CheckpointError(
        "A checkpoint is corrupted.", where=where, expected=expected, found=found, hint=COPY_AGAIN
    )
