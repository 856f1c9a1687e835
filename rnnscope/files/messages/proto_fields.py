"""The outermost fields of a protocol message in a file, by their headers alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from rnnscope.deferred_dataclass import dataclass

VARINT, BYTES = 0, 2
"""Types on the wire."""

MAX_FIELDS = 10_000


@dataclass(frozen=True)
class OuterField:
    """A field of the outermost message.

    Attributes
    ----------
    number : int
    kind : int
        Its type on the wire.
    value : int
        The number itself, or how many bytes the field has.
    cut_off : bool
        Whether the file ends within it.
    """

    number: int
    kind: int
    value: int
    cut_off: bool = False


def outer_fields(file: BinaryIO, size: int) -> Iterator[OuterField]:
    """The fields of a message that fills a file of `size` bytes; what they hold is passed over.

    Raises
    ------
    ValueError
        A header is damaged.
    """
    for _ in range(MAX_FIELDS):
        if file.tell() >= size:
            return
        number, kind = divmod(read_varint(file), 8)
        value = read_varint(file) if kind in (VARINT, BYTES) else 0
        cut_off = kind == BYTES and file.tell() + value > size
        yield OuterField(number, kind, value, cut_off)
        if cut_off or kind not in (VARINT, BYTES):
            return
        if kind == BYTES:
            file.seek(value, 1)


def read_varint(file: BinaryIO) -> int:
    """A number of protobuf's variable length.

    Raises
    ------
    ValueError
        The file ends within it, or it has more than 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("the file ends within a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number of more than 64 bits")
