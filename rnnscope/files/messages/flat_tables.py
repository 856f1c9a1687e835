"""FlatBuffers read by a table of their fields, so that no generated code is needed.

References
----------
The internals page of FlatBuffers: a table begins with the distance to its vtable, which holds the
place of every field; vectors and strings begin with their length.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time

SCALARS = {
    "bool": "?", "int8": "<i1", "uint8": "<u1", "int16": "<i2", "int32": "<i4", "uint32": "<u4",
    "int64": "<i8", "uint64": "<u8", "float": "<f4",
}  # fmt: skip

MAX_TABLES = 2_000_000
"""A table may be pointed to from many places; a small file must not unfold without end."""

MAX_DEPTH = 16

_FIELD = re.compile(r"(\w+)=(\d+) (\*?)([\w.]+)(?::(\S+))?")


@dataclass(frozen=True)
class FlatField:
    """A field of a table: its slot, its type, whether it is a vector, and its default."""

    name: str
    slot: int
    kind: str
    vector: bool
    default: Any


class FlatSchema:
    """The tables of one kind of file.

    Parameters
    ----------
    text : str
        A line that is not indented opens a table; its fields follow as ``name=slot type``, a ``*``
        before the type of a vector, ``:default`` behind a scalar's. The type ``union`` is a table
        whose kind the field ``NAME_type`` tells, by `unions`.
    unions : mapping of int to str
        Which table each kind is; others are left unread.
    """

    def __init__(self, text: str, unions: Mapping[int, str]) -> None:
        self.text = text
        self.unions = unions

    @cached_property
    def tables(self) -> dict[str, tuple[FlatField, ...]]:
        """Fields by table."""
        found: dict[str, list[FlatField]] = {}
        name = ""
        for line in filter(None, self.text.splitlines()):
            if not line.startswith(" "):
                name = line
                found[name] = []
                continue
            for field, slot, mark, kind, default in _FIELD.findall(line):
                value = float(default or 0) if kind == "float" else int(default or 0)
                found[name].append(FlatField(field, int(slot), kind, bool(mark), value))
        return {table: tuple(fields) for table, fields in found.items()}

    def read(self, data: Any, root: str, where: object) -> Any:
        """The root table of a buffer, all that it leads to among its attributes.

        Scalars are numbers, vectors of them arrays, strings text, tables objects with their fields
        as attributes; None stands for a table, string or vector that is not there.

        Raises
        ------
        CheckpointError
            An offset or a length leads out of the buffer.
        """
        try:
            return _Reading(self, data, where).root(root)
        except (struct.error, IndexError, ValueError, OverflowError, TypeError) as error:
            raise CheckpointError(
                "The file is damaged: its tables lead out of it.",
                where=where,
                expected=f"a FlatBuffer of the table {root}",
                found=f"{len(data)} bytes ({error})",
                hint="copy or download the file again, and compare its size with the original",
            ) from error


class _Reading:
    def __init__(self, schema: FlatSchema, data: Any, where: object) -> None:
        self._schema = schema
        self._data = data
        self._where = where
        self._count = 0

    def root(self, name: str) -> Any:
        from flatbuffers import encode, number_types

        return self._table(name, encode.Get(number_types.UOffsetTFlags.packer_type, self._data, 0))

    def _table(self, name: str, at: int, depth: int = 0) -> Any:
        from flatbuffers.table import Table

        self._count += 1
        if self._count > MAX_TABLES or depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_TABLES} tables, or {MAX_DEPTH} levels of them")
        check_time(self._where, CheckpointError)
        self._within(at, 4)
        table = Table(self._data, at)
        made = SimpleNamespace()
        for field in self._schema.tables[name]:
            offset = table.Offset(4 + 2 * field.slot)
            value = self._absent(field) if not offset else self._field(field, table, offset, depth)
            setattr(made, field.name, value)
        for field in self._schema.tables[name]:
            if field.kind == "union":
                setattr(made, field.name, self._union(made, field, depth))
        return made

    def _absent(self, field: FlatField) -> Any:
        if field.vector or field.kind not in SCALARS:
            return None
        return bool(field.default) if field.kind == "bool" else field.default

    def _field(self, field: FlatField, table: Any, offset: int, depth: int) -> Any:
        at = table.Pos + offset
        if field.vector:
            start, length = table.Vector(offset), table.VectorLen(offset)
            if field.kind in SCALARS:
                dtype = np.dtype(SCALARS[field.kind])
                self._within(start, length * dtype.itemsize)
                return np.frombuffer(self._data, dtype, length, start)
            self._within(start, length * 4)
            each = (table.Indirect(start + 4 * number) for number in range(length))
            return [self._table(field.kind, one, depth + 1) for one in each]
        if field.kind in SCALARS:
            return np.frombuffer(self._data, SCALARS[field.kind], 1, at)[0].item()
        if field.kind == "string":
            return bytes(table.String(at)).decode("utf-8", "replace")
        inside = table.Indirect(at)
        return inside if field.kind == "union" else self._table(field.kind, inside, depth + 1)

    def _union(self, made: Any, field: FlatField, depth: int) -> Any:
        at = getattr(made, field.name)
        kind = self._schema.unions.get(getattr(made, f"{field.name}_type"))
        return None if at is None or kind is None else self._table(kind, at, depth + 1)

    def _within(self, start: int, size: int) -> None:
        if start < 0 or size < 0 or start + size > len(self._data):
            raise ValueError(f"{size} bytes from byte {start} on")
