"""Checkpoints of TensorFlow's Saver (V2), written here: an index of one block, one file of bytes.

References
----------
tensorflow/core/protobuf/tensor_bundle.proto; the table format of LevelDB.
"""

from __future__ import annotations

from pathlib import Path

import google_crc32c
import numpy as np

from rnnscope.files.tensorflow.proto_schema import message_class

MAGIC = 0xDB4775248B80FB57
FOOTER = 48


def save_bundle(prefix: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write float32 arrays by name; the prefix."""
    data, entries = b"", {b"": message_class("BundleHeaderProto")(num_shards=1)}
    for name in sorted(arrays):
        own = np.ascontiguousarray(arrays[name], np.float32).tobytes()
        entry = message_class("BundleEntryProto")(
            dtype=1, offset=len(data), size=len(own), crc32c=_masked(own)
        )
        for size in arrays[name].shape:
            entry.shape.dim.add(size=size)
        entries[name.encode()] = entry
        data += own
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)
    stored = {key: entry.SerializeToString() for key, entry in entries.items()}
    prefix.with_name(prefix.name + ".index").write_bytes(_table(stored))
    return prefix


def _masked(data: bytes) -> int:
    value = google_crc32c.value(data)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table(entries: dict[bytes, bytes]) -> bytes:
    """Blocks of entries, of what stands for filters, and of the first block's place; a footer."""
    body, handles = b"", []
    blocks = [lambda: entries, dict, lambda: {max(entries): handles[0]}]
    for contents in blocks:
        block = _block(contents())
        handles.append(_varint(len(body)) + _varint(len(block)))
        block += b"\0"  # not compressed
        body += block + _masked(block).to_bytes(4, "little")
    footer = (handles[1] + handles[2]).ljust(FOOTER - 8, b"\0")
    return body + footer + MAGIC.to_bytes(8, "little")


def _block(entries: dict[bytes, bytes]) -> bytes:
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
