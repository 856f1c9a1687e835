"""The keys under which a bundle keeps the slices of a partitioned variable.

A key is the variable's name and the slice's extents, coded so that the order of the bytes is the
order of the values. rnnscope only needs to build them.

References
----------
tensorflow/core/lib/strings/ordered_code.cc; EncodeTensorNameSlice in
tensorflow/core/util/saved_tensor_slice_util.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

FULL_EXTENT = -1
"""The stored length of an extent that takes the whole axis."""


def slice_key(name: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    """The key of one slice of a variable.

    Parameters
    ----------
    name : bytes
        The variable's name, in UTF-8 as the index has it.
    extents : sequence of (start, length)
        One an axis; `FULL_EXTENT` as the length of an axis that is taken whole.
    """
    numbers = b"".join(_signed(number) for extent in extents for number in extent)
    return _unsigned(0) + _string(name) + _unsigned(len(extents)) + numbers


def _unsigned(value: int) -> bytes:
    """A length byte, then the number in that many bytes; nothing behind the length of 0."""
    width = (value.bit_length() + 7) // 8
    return bytes([width]) + value.to_bytes(width, "big")


def _string(value: bytes) -> bytes:
    # The code escapes the byte ff too, but UTF-8, which names are in, has none.
    escaped = value.replace(b"\x00", b"\x00\xff")
    return escaped + b"\x00\x01"


def _signed(value: int) -> bytes:
    """Two's complement of 7 bits a byte; as many leading one bits as bytes, inverted if negative.

    In `width` bytes there are ``7·width`` bits left, one of them for the sign.
    """
    width = ((value if value >= 0 else ~value).bit_length() + 7) // 7
    bits = 8 * width
    header = ((1 << width) - 1) << (bits - width)
    return ((value & ((1 << bits) - 1)) ^ header).to_bytes(width, "big")
