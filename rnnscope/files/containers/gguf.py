"""GGUF files: a header, metadata, what each tensor is, and the tensors behind them.

References
----------
ggml/docs/gguf.md: versions 2 and 3 (counts of 64 bits; 3 says nothing new of little-endian files);
the sizes of a tensor stand with the fastest axis first; offsets count from the first byte behind
the descriptions that is a multiple of ``general.alignment``. ggml/include/ggml.h: numbers of types.
"""

from __future__ import annotations

import struct
from functools import partial
from math import prod
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import AnyFile, map_file
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.files.guarding.limits import check_time
from rnnscope.model.cell import Array

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_ENTRIES = 1_000_000
MAX_AXES = 8
DEFAULT_ALIGNMENT = 32

DTYPES = {0: "<f4", 1: "<f2", 24: "i1", 25: "<i2", 26: "<i4", 27: "<i8", 28: "<f8", 30: "<u2"}
"""Types that are read, by number; 30 is bfloat16."""

BFLOAT16 = 30
TYPE_NAMES = {
    2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
}  # fmt: skip
"""Quantised types that are met most, for messages."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
            12: "d"}  # fmt: skip
STRING, LIST = 8, 9
MAX_NESTED = 4


@dataclass(frozen=True)
class GgufFile:
    """What a file holds.

    Attributes
    ----------
    arrays : list of LoadableArray
    architecture : str
        ``general.architecture``; empty if it is not said.
    """

    arrays: list[LoadableArray]
    architecture: str = ""


class _Cursor:
    """Reads little-endian values one after the other; never behind the end."""

    def __init__(self, data: Any) -> None:
        self._data, self.at = data, 0

    def take(self, code: str) -> Any:
        size = struct.calcsize(f"<{code}")
        if self.at + size > len(self._data):
            raise ValueError(f"it ends within a value at byte {self.at}")
        (value,) = struct.unpack_from(f"<{code}", self._data, self.at)
        self.at += size
        return value

    def text(self) -> str:
        length = self.take("Q")
        if length > len(self._data) - self.at:
            raise ValueError(f"a text of {length} bytes at byte {self.at}")
        found = bytes(self._data[self.at : self.at + length])
        self.at += length
        return found.decode(errors="replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        """A metadata value; lists are passed over."""
        if kind == STRING:
            return self.text()
        if kind in _SCALARS:
            return self.take(_SCALARS[kind])
        if kind != LIST or depth > MAX_NESTED:
            raise ValueError(f"a value of type {kind}")
        inner, count = self.take("I"), self.take("Q")
        if inner in _SCALARS:
            size = struct.calcsize(f"<{_SCALARS[inner]}") * count
            if size > len(self._data) - self.at:
                raise ValueError(f"a list of {count} values at byte {self.at}")
            self.at += size
            return None
        if count > len(self._data) - self.at:
            raise ValueError(f"a list of {count} values at byte {self.at}")
        for _ in range(count):
            self.value(inner, depth + 1)
        return None


def looks_like_gguf(path: AnyFile) -> bool:
    """Whether a file begins as GGUF does. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) == MAGIC
    except OSError:
        return False


def read_gguf(path: AnyFile) -> GgufFile:
    """What a file holds, held to the bytes that are there.

    Raises
    ------
    CheckpointError
        It is damaged, or of a version that is not known.
    """
    try:
        return _read(path, map_file(path))
    except (ValueError, OSError, OverflowError, struct.error) as error:
        raise CheckpointError(
            "The GGUF file is truncated or damaged.",
            where=path,
            expected="a little-endian file of version 2 or 3",
            found=str(error)[:200],
            hint="copy or download the file again, and compare its size with the original",
        ) from error


def _read(path: AnyFile, data: Any) -> GgufFile:
    cursor = _Cursor(data)
    cursor.at = len(MAGIC)
    version = cursor.take("I")
    if version not in VERSIONS:
        raise ValueError(f"version {version}")
    tensors, entries = cursor.take("Q"), cursor.take("Q")
    if max(tensors, entries) > min(MAX_ENTRIES, len(data)):
        raise ValueError(f"{tensors} tensors and {entries} entries")
    metadata: dict[str, Any] = {}
    for _ in range(entries):
        check_time(path, CheckpointError)
        name, kind = cursor.text(), cursor.take("I")
        metadata[name] = cursor.value(kind)
    described = [_describe(cursor) for _ in range(tensors)]
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= 2**16:
        raise ValueError(f"an alignment of {alignment}")
    start = -(-cursor.at // alignment) * alignment
    arrays = []
    for name, shape, kind, offset in described:
        stop = (
            start
            + offset
            + prod(shape) * (np.dtype(DTYPES[kind]).itemsize if kind in DTYPES else 0)
        )
        if stop > len(data):
            raise ValueError(f"'{name}' would end at byte {stop} of {len(data)}")
        load = partial(_load, data, start + offset, shape, kind, f"{path}: {name}")
        arrays.append(LoadableArray(name, shape, load))
    return GgufFile(arrays, str(metadata.get("general.architecture", "")))


def _describe(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name, axes = cursor.text(), cursor.take("I")
    if axes > MAX_AXES:
        raise ValueError(f"'{name}' of {axes} axes")
    shape = tuple(cursor.take("Q") for _ in range(axes))[::-1]
    return name, shape, cursor.take("I"), cursor.take("Q")


def _load(data: Any, start: int, shape: tuple[int, ...], kind: int, where: str) -> Array:
    if kind not in DTYPES:
        raise CheckpointError(
            "A stored tensor has a dtype that rnnscope does not read.",
            where=where,
            expected="F32, F16, BF16, F64 or integers",
            found=f"the quantised type {TYPE_NAMES.get(kind, kind)}",
            hint="convert the model again without quantisation (--outtype f32)",
        )
    values = np.frombuffer(data, DTYPES[kind], prod(shape), start).reshape(shape)
    if kind == BFLOAT16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32 if kind == 1 else values.dtype.newbyteorder("="))
