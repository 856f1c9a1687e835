"""Large values of 1 to 8 bits that stay in their files, with the scales or the table they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from rnnscope.files.messages.values_in_file import KINDS, ValueInFile, make_stand_in, stored_value
from rnnscope.model.cell import Array

MAX_LISTED = 2**16
"""Scales, or whatever else is listed with a value: a stand-in holds all of it."""


class PackedValue(NamedTuple):
    """Floats of 32 bits that are stored as numbers of less; implements `HeldValue`.

    Attributes
    ----------
    stored : ValueInFile
        The numbers follow each other, the highest bit first.
    length, bits : int
        How many there are, and of how many bits each is.
    row : int
        How many that follow one another share a scale and a bias.
    scale, bias : tuple of float
        ``number * scale + bias``, in float32: one for all, or one for each row.
    table : tuple of float
        In the place of both, what each number stands for.
    dtype : str
    """

    stored: ValueInFile
    length: int
    bits: int
    row: int = 1
    scale: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()
    table: tuple[float, ...] = ()
    dtype: str = "<f4"

    @property
    def size(self) -> int:
        return 4 * self.length

    def stand_in(self) -> bytes:
        """See `HeldValue`."""
        return make_stand_in("packed", self)

    def pieces(self) -> Iterator[Array]:
        """See `HeldValue`."""
        lists = [np.asarray(one, np.float32) for one in (self.scale, self.bias, self.table)]
        first, rest = 0, b""
        for piece in self.stored.pieces():
            raw = rest + bytes(piece)
            whole = len(raw) // self.bits * self.bits  # eight numbers are so many bytes
            rest = raw[whole:]
            numbers = unpacked(np.frombuffer(raw[:whole], np.uint8), self.bits)
            yield self._widened(numbers[: self.length - first], first, *lists)
            first += len(numbers)
        if rest:
            numbers = unpacked(np.frombuffer(rest, np.uint8), self.bits)
            yield self._widened(numbers[: self.length - first], first, *lists)

    def read(self) -> memoryview:
        """See `HeldValue`."""
        made, done = np.empty(self.length, np.float32), 0
        for piece in self.pieces():
            made[done : done + len(piece)] = piece
            done += len(piece)
        return made.astype(self.dtype, copy=False).view(np.uint8).data.toreadonly()

    def _widened(
        self, numbers: Array, first: int, scale: Array, bias: Array, table: Array
    ) -> Array:
        if table.size:
            made: Array = table[numbers]
        else:
            rows = np.arange(first, first + numbers.size) // self.row
            scale, bias = (one[rows] if one.size > 1 else one for one in (scale, bias))
            made = numbers.astype(np.float32) * scale + bias
        return made.astype(self.dtype, copy=False)


def unpacked(raw: Array, bits: int) -> Array:
    """The numbers of so many bits that bytes hold, uint8; at the end, those of unused bits, too."""
    if bits == 8:
        return raw
    every: Array = np.unpackbits(raw)
    each: Array = every[: every.size // bits * bits].reshape(-1, bits)
    made: Array = np.packbits(each, axis=1).ravel() >> (8 - bits)
    return made


def _packed(told: Iterable[Any]) -> PackedValue:
    stored, *others = told
    return PackedValue(stored_value(stored), *others)


KINDS["packed"] = _packed
