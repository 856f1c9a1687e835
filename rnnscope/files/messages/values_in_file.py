"""Large values of a protocol message that stay in their file until somebody asks for them.

A message is parsed whole, and so would be a table of gigabytes that no layer needs. Here the fields
of a large file are looked at first, by their headers alone, and in the place of a large value a
stand-in is parsed: where its bytes lie. What is small, and a file that is, is parsed as it is.

References
----------
protobuf.dev, Encoding: a tag, then a number, 4 or 8 bytes, or a length and so many bytes. Packed
lists of floats are their bytes, little-endian.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.files.messages.proto_fields import BYTES, VARINT, read_varint
from rnnscope.files.messages.proto_table import MessageTable

LARGE_BYTES = 2**20
"""A value of less is parsed with the message."""

MAX_FIELDS = 500_000
"""A file in which more are looked at is parsed whole: looking would take longer than it saves."""

MAX_DEPTH = 32

_WIDTHS = {1: 8, 5: 4}
"""Bytes of the types on the wire that have a fixed width."""

_MARK = secrets.token_bytes(32)
"""What a stand-in begins with: no file can hold one, since nobody knows it before this process."""


class Held(NamedTuple):
    """What becomes of a large field of a message.

    Attributes
    ----------
    field : int
        The field of bytes that takes the stand-in: the field itself, or another.
    dtype : str
        What is listed in the field, in numpy's words; empty where it is bytes.
    """

    field: int
    dtype: str = ""


class ValueInFile(NamedTuple):
    """Bytes of a file.

    Attributes
    ----------
    path : str
    start, size : int
        In bytes.
    dtype : str
        See `Held`.
    """

    path: str
    start: int
    size: int
    dtype: str = ""

    def stand_in(self) -> bytes:
        """What is stored in its place, for this process alone."""
        return _MARK + json.dumps(self).encode("ascii")

    def pieces(self) -> Iterator[bytes]:
        """The bytes, `LARGE_BYTES` at a time.

        Raises
        ------
        CheckpointError
            The file is shorter than it was.
        """
        for start in range(0, self.size, LARGE_BYTES):
            yield self._replace(
                start=self.start + start, size=min(LARGE_BYTES, self.size - start)
            ).read()

    def read(self) -> bytes:
        """The bytes.

        Raises
        ------
        CheckpointError
            The file is shorter than it was.
        """
        with Path(self.path).open("rb") as file:
            file.seek(self.start)
            found = file.read(self.size)
        if len(found) != self.size:
            raise CheckpointError(
                "The file is shorter than it was when it was opened.",
                where=self.path,
                expected=f"{self.size} bytes from byte {self.start} on",
                found=f"{len(found)}",
                hint="has another program changed it meanwhile?",
            )
        return found


def value_in_file(stored: bytes) -> ValueInFile | None:
    """What a stand-in stands for; None of bytes that are the value themselves."""
    if not stored.startswith(_MARK):
        return None
    return ValueInFile(*json.loads(stored[len(_MARK) :]))


def whole_value(stored: bytes) -> bytes:
    """The bytes of a value, read now if they stayed in their file."""
    found = value_in_file(stored)
    return stored if found is None else found.read()


def parse_file(
    table: MessageTable, name: str, path: Path, held: Mapping[str, Mapping[int, Held]]
) -> Any:
    """Parse a file as a message; its large values stay where they are.

    Parameters
    ----------
    table : MessageTable
    name : str
        The message that the file is.
    path : Path
    held : mapping
        What becomes of large fields, by the message's name and the field's number.

    Raises
    ------
    google.protobuf.message.DecodeError
        It is no such message.
    """
    made = table.message_class(name)
    if path.stat().st_size < LARGE_BYTES:
        return made.FromString(path.read_bytes())
    with path.open("rb") as file:
        try:
            data = _Walk(file, path, held).message(made.DESCRIPTOR, 0, path.stat().st_size)
        except ValueError:  # what is wrong with it, the parser says
            data = path.read_bytes()
    return made.FromString(data)


class _Walk:
    def __init__(self, file: BinaryIO, path: Path, held: Mapping[str, Mapping[int, Held]]) -> None:
        self._file = file
        self._path = path
        self._held = held
        self._fields = 0

    def message(self, message: Any, start: int, stop: int, depth: int = 0) -> bytes:
        """A message without its large values."""
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} messages within each other")
        check_time(self._path, CheckpointError)
        parts: list[bytes] = []
        kept = at = start
        while at < stop:
            number, body, end = self._field(at, stop)
            if body is not None and end - body >= LARGE_BYTES:
                made = self._slimmer(message, number, body, end, depth)
                if made is not None:
                    parts += [self._bytes(kept, at), made]
                    kept = end
            at = end
        return b"".join([*parts, self._bytes(kept, stop)])

    def _slimmer(self, message: Any, number: int, body: int, end: int, depth: int) -> bytes | None:
        """A large field with stand-ins; None of one that is left as it is."""
        held = self._held.get(message.full_name.partition(".")[2], {}).get(number)
        if held is not None:
            value = ValueInFile(str(self._path), body, end - body, held.dtype)
            return _with_header(held.field, value.stand_in())
        field = message.fields_by_number.get(number)
        if field is None or field.message_type is None:
            return None
        return _with_header(number, self.message(field.message_type, body, end, depth + 1))

    def _field(self, at: int, stop: int) -> tuple[int, int | None, int]:
        """A field's number, where its bytes begin if it has any, and its end."""
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS} fields")
        self._file.seek(at)
        number, kind = divmod(read_varint(self._file), 8)
        if kind in _WIDTHS:
            body, end = None, self._file.tell() + _WIDTHS[kind]
        elif kind == VARINT:
            read_varint(self._file)
            body, end = None, self._file.tell()
        elif kind == BYTES:
            size = read_varint(self._file)
            body = self._file.tell()
            end = body + size
        else:
            raise ValueError(f"a field of the type {kind}")
        if end > stop:
            raise ValueError(f"a field that ends at byte {end} of {stop}")
        return number, body, end

    def _bytes(self, start: int, stop: int) -> bytes:
        self._file.seek(start)
        return self._file.read(stop - start)


def _with_header(number: int, content: bytes) -> bytes:
    return _varint(number * 8 + BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
