"""Messages of large files, parsed while their large values stay where they lie.

A message is parsed whole, and so would be a table of gigabytes that no layer needs. Here the fields
of a large file are looked at first, by their headers alone, and in the place of a large value a
stand-in is parsed: where its bytes lie. What is small, and a file that is, is parsed as it is.

References
----------
protobuf.dev, Encoding: a tag, then a number, 4 or 8 bytes, or a length and so many bytes. Packed
lists of floats are their bytes, little-endian; a list may come in several packs, and single
elements among them, all in their order. A message that comes twice where one belongs is merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.files.messages.proto_fields import BYTES, VARINT, read_varint
from rnnscope.files.messages.proto_table import MessageTable
from rnnscope.files.messages.values_in_file import LARGE_BYTES, Place, ValueInFile

MAX_FIELDS = 500_000
"""A file in which more are looked at is parsed whole: looking would take longer than it saves."""

MAX_DEPTH = 32

MAX_PLACES = 1000
"""A list in more places is parsed with its message."""

_WIDTHS = {1: 8, 5: 4}
"""Bytes of the types on the wire that have a fixed width."""


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


class _Field(NamedTuple):
    """A field on the wire: its number and type, where its value begins, and its end."""

    number: int
    kind: int
    body: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.body


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
        held = self._held.get(message.full_name.partition(".")[2], {})
        large = self._large(held, start, stop) if held else {}
        parts: list[bytes] = []
        times: Counter[int] = Counter()
        slim: set[int] = set()
        kept = at = start
        while at < stop:
            field = self._field(at, stop)
            times[field.number] += 1
            made = None
            if field.number in large and _holds(held[field.number], field):
                made = large[field.number]
                large[field.number] = b""  # one stand-in for all of a list
            elif field.kind == BYTES and field.size >= LARGE_BYTES:
                inside = _inside(message, field.number)
                if inside is not None:
                    slim.add(field.number)
                    made = self.message(inside, field.body, field.end, depth + 1)
                    made = _with_header(field.number, made)
            if made is not None:
                parts += [self._bytes(kept, at), made]
                kept = field.end
            at = field.end
        if any(times[number] > 1 and not _is_repeated(message, number) for number in slim):
            raise ValueError("a message in several parts, whose lists would have to be joined")
        return b"".join([*parts, self._bytes(kept, stop)])

    def _large(self, held: Mapping[int, Held], start: int, stop: int) -> dict[int, bytes]:
        """The stand-in of the one value that a message holds, by its field; none of a small one."""
        found: dict[int, list[_Field]] = {}
        at = start
        while at < stop:
            field = self._field(at, stop)
            if field.number in held and _holds(held[field.number], field):
                found.setdefault(field.number, []).append(field)
            at = field.end
        if len(found) != 1:
            return {}  # which of two is the value, the reader decides
        ((number, fields),) = found.items()
        target, dtype = held[number]
        if not dtype:
            fields = fields[-1:]  # bytes are not joined: the last ones are the value
        elif any(field.size % np.dtype(dtype).itemsize for field in fields):
            raise ValueError("a list that ends within an element")
        if len(fields) > MAX_PLACES or sum(field.size for field in fields) < LARGE_BYTES:
            return {}
        places = tuple(Place.at(self._path, field.body, field.size) for field in fields)
        return {number: _with_header(target, ValueInFile(places, dtype).stand_in())}

    def _field(self, at: int, stop: int) -> _Field:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS} fields")
        self._file.seek(at)
        number, kind = divmod(read_varint(self._file), 8)
        body = self._file.tell()
        if kind in _WIDTHS:
            end = body + _WIDTHS[kind]
        elif kind == VARINT:
            read_varint(self._file)
            end = self._file.tell()
        elif kind == BYTES:
            size = read_varint(self._file)
            body = self._file.tell()
            end = body + size
        else:
            raise ValueError(f"a field of the type {kind}")
        if end > stop:
            raise ValueError(f"a field that ends at byte {end} of {stop}")
        return _Field(number, kind, body, end)

    def _bytes(self, start: int, stop: int) -> bytes:
        self._file.seek(start)
        return self._file.read(stop - start)


def _holds(held: Held, field: _Field) -> bool:
    """Whether a field on the wire is the value, or a part of the list; others are unknown ones."""
    if field.kind == BYTES:
        return True
    return bool(held.dtype) and _WIDTHS.get(field.kind) == np.dtype(held.dtype).itemsize


def _inside(message: Any, number: int) -> Any:
    """The descriptor of the message that a field is; None of what is no message."""
    field = message.fields_by_number.get(number)
    return None if field is None else field.message_type


def _is_repeated(message: Any, number: int) -> bool:
    field = message.fields_by_number[number]
    # protobuf 7 has no label, and those before 6.31 no is_repeated.
    found = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if found is None else found)


def _with_header(number: int, content: bytes) -> bytes:
    return _varint(number * 8 + BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
