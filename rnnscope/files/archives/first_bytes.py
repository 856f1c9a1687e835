"""What a file is by its first bytes, for those that may hold a saved model."""

from __future__ import annotations

import struct

HEAD_BYTES = 512

ZIP = b"PK\x03\x04"
HDF5 = b"\x89HDF\r\n\x1a\n"
GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257


def is_tar(head: bytes) -> bool:
    """Whether 512 bytes are the first header of a tar: a magic, or a checksum that is right."""
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == TAR_MAGIC:
        return True
    if len(head) < HEAD_BYTES or not head[:1].strip(b"\0"):
        return False
    try:
        stated = int(head[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    # The checksum is made as if it were eight spaces (POSIX.1-1988, ustar and v7).
    return bool(stated == sum(head[:148]) + sum(head[156:]) + 8 * ord(" "))


def is_safetensors(head: bytes) -> bool:
    """Whether a JSON object follows eight bytes that may tell its length."""
    if len(head) < 9 or head[8:9] != b"{":
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return bool(2 <= length <= 100_000_000)


def may_be_model(head: bytes) -> bool:
    """Whether a member of an archive may hold weights, by its first bytes; cheap, and generous."""
    pickled = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    return head.startswith((ZIP, HDF5, b"GGUF")) or pickled or is_safetensors(head)
