"""Writer of TensorFlow's Saver V2 bundle: one index of one block, and one shard of bytes.

References
----------
tensorflow/core/protobuf/tensor_bundle.proto; the table format of LevelDB: a block of entries with
no shared prefixes, one of filters, one of the first one's place, and a footer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rnnscope.files.tensorflow.proto_schema import message_class
from rnnscope.files.tensorflow.table import masked_crc32c
from rnnscope.model.cell import Array

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
DTYPES = {"float32": 1, "float64": 2}
"""tensorflow/core/framework/types.proto."""


def write_bundle(prefix: Path, arrays: Mapping[str, Array]) -> None:
    """Write ``PREFIX.index`` and ``PREFIX.data-00000-of-00001``.

    Parameters
    ----------
    prefix : Path
    arrays : mapping of str to ndarray
        float32 or float64, by name.
    """
    header = message_class("BundleHeaderProto")(num_shards=1)
    header.version.producer = 1
    entries = {b"": header.SerializeToString()}
    at = 0
    with prefix.with_name(prefix.name + ".data-00000-of-00001").open("xb") as data:
        for name in sorted(arrays, key=str.encode):
            array = arrays[name]
            own = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
            entry = message_class("BundleEntryProto")(
                dtype=DTYPES[array.dtype.name], offset=at, size=len(own), crc32c=masked_crc32c(own)
            )
            for size in array.shape:
                entry.shape.dim.add(size=size)
            entries[name.encode()] = entry.SerializeToString()
            data.write(own)
            at += len(own)
    with prefix.with_name(prefix.name + ".index").open("xb") as index:
        index.write(table_bytes(entries))


def table_bytes(entries: Mapping[bytes, bytes]) -> bytes:
    """A table file of sorted entries."""
    body, first = _appended(b"", entries)
    body, filters = _appended(body, {})
    body, index = _appended(body, {max(entries): first})
    footer = (filters + index).ljust(FOOTER - 8, b"\0")
    return body + footer + MAGIC.to_bytes(8, "little")


def _appended(body: bytes, entries: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """A file with one more block at its end, and the block's place and size."""
    block = _block(entries)
    handle = _varint(len(body)) + _varint(len(block))
    block += b"\0"  # not compressed
    return body + block + masked_crc32c(block).to_bytes(4, "little"), handle


def _block(entries: Mapping[bytes, bytes]) -> bytes:
    """Entries that share no prefixes, and one restart point, at 0."""
    written = b"".join(
        _varint(0) + _varint(len(key)) + _varint(len(value)) + key + value
        for key, value in entries.items()
    )
    return written + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
