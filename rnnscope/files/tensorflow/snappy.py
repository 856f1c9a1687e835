"""Varints, and the snappy compression of a block: what the table file is packed in.

Pure Python, since only the V1 checkpoints of TensorFlow 0.x and 1.x are compressed. Both
functions raise ValueError, never another exception, on any malformed data.

References
----------
google/snappy format_description.txt; protocol buffers, "Encoding", Base 128 Varints.
"""

from __future__ import annotations

# Three bytes of snappy can stand for 64 at most, so a block that declares more is corrupted.
SNAPPY_MAX_RATIO = 22


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode a base-128 varint of at most ten bytes.

    Returns
    -------
    value, next_position : int

    Raises
    ------
    ValueError
        If the data ends within the varint, or it is longer than ten bytes.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("the data ends within a varint")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a varint of more than 10 bytes")


def decompress_snappy(data: bytes) -> bytes:
    """Decompress one raw snappy block, never growing past the size that it declares.

    Raises
    ------
    ValueError
        If the block is malformed or its declared size is out of proportion.
    """
    size, position = read_varint(data, 0)
    if size > SNAPPY_MAX_RATIO * len(data):
        raise ValueError(f"a declared size of {size} bytes from {len(data)} compressed ones")
    out = bytearray()
    while position < len(data):
        tag = data[position]
        position += 1
        kind = tag & 3
        if kind == 0:
            length = (tag >> 2) + 1
            if length > 60:
                width = length - 60
                length = 1 + int.from_bytes(data[position : position + width], "little")
                position += width
            chunk = data[position : position + length]
            position += length
        else:
            width = (1, 2, 4)[kind - 1]
            offset = int.from_bytes(data[position : position + width], "little")
            length = (tag >> 2) + 1
            if kind == 1:
                offset |= (tag >> 5) << 8
                length = ((tag >> 2) & 7) + 4
            position += width
            if not 0 < offset <= len(out):
                raise ValueError(f"a copy from {offset} bytes back, {len(out)} bytes in")
            # A copy may overlap what it writes: it then repeats the last `offset` bytes.
            start = len(out) - offset
            chunk = bytes(out[start : start + length])
            chunk = (chunk * (length // len(chunk) + 1))[:length]
        if position > len(data) or len(out) + length > size:
            raise ValueError("an element that runs past the end of the block")
        out += chunk
    if len(out) != size:
        raise ValueError(f"{len(out)} bytes where {size} are declared")
    return bytes(out)
