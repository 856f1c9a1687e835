"""Arrays in a ``.safetensors`` file, read in place: a JSON header, then raw little-endian values.

References
----------
https://github.com/huggingface/safetensors, "Format": eight bytes with the length of the header,
the header, and the buffer into which ``data_offsets`` point.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, RnnscopeError
from rnnscope.files.archives.inner_file import AnyFile
from rnnscope.files.arrays.array_views import Lazy, blocks
from rnnscope.files.arrays.stored_array import FileArray, Key, LoadedArray, StoredArray
from rnnscope.model.cell import Array

MAX_HEADER = 100_000_000
"""What the library allows, in bytes."""

MAX_AXES = 32

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
NAMES = {np.dtype(code): name for name, code in DTYPES.items() if name != "BF16"}


class Bfloat16(Lazy):
    """The upper half of float32 values as float32."""

    def __init__(self, source: StoredArray) -> None:
        self._source = source
        self.shape, self.dtype = source.shape, np.dtype(np.float32)

    def _part(self, key: Key) -> Array:
        wide: Array = self._source.read(key).astype(np.uint32) << 16
        return wide.view(np.float32)


@dataclass(frozen=True)
class TensorEntry:
    """What the header says of one tensor.

    Attributes
    ----------
    name : str
    dtype : str
        As the format calls it: ``"F32"``, ``"BF16"``.
    shape : tuple of int
    offset : int
        Of its first byte in the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def is_readable(self) -> bool:
        """False for types that numpy lacks, such as the 8-bit floats."""
        return self.dtype in DTYPES


@dataclass(frozen=True)
class SafetensorsHeader:
    """What a file holds.

    Attributes
    ----------
    tensors : tuple of TensorEntry
        In the file's order.
    metadata : mapping of str to object
    """

    tensors: tuple[TensorEntry, ...]
    metadata: Mapping[str, Any]


def looks_like_safetensors(path: AnyFile) -> bool:
    """True if a JSON object follows eight bytes that tell its length. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(9)
    except OSError:
        return False
    if len(head) < 9 or head[8:] != b"{":
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return bool(2 <= length <= MAX_HEADER)


def read_header(path: AnyFile, error: type[RnnscopeError] = InputError) -> SafetensorsHeader:
    """What a file says that it holds, held to the bytes that are there.

    Parameters
    ----------
    path : Path
    error : class of RnnscopeError
        What to raise.

    Raises
    ------
    RnnscopeError
        The header does not parse, or tells of bytes that are not there.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = file.read(length) if length <= min(MAX_HEADER, size - 8) else b""
    except (OSError, struct.error) as trouble:
        raise _damaged(path, "a header", str(trouble), error) from trouble
    if len(header) != length:
        raise _damaged(path, f"a header of {length} bytes", f"a file of {size}", error)
    try:
        entries = json.loads(header)
    except (ValueError, RecursionError) as trouble:
        raise _damaged(path, "a header in JSON", str(trouble)[:200], error) from trouble
    if not isinstance(entries, dict):
        raise _damaged(path, "a JSON object", type(entries).__name__, error)
    metadata = entries.pop("__metadata__", None)
    tensors = tuple(
        _entry(path, name, entry, 8 + length, size, error) for name, entry in entries.items()
    )
    return SafetensorsHeader(tensors, metadata if isinstance(metadata, dict) else {})


def _entry(
    path: AnyFile, name: str, entry: Any, start: int, size: int, error: type[RnnscopeError]
) -> TensorEntry:
    where = f"{path}: {name}"
    try:
        stored, shape = str(entry["dtype"]), tuple(entry["shape"])
        begin, end = entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as trouble:
        expected = "dtype, shape and two data_offsets"
        raise _damaged(where, expected, str(entry)[:200], error) from trouble
    numbers = (*shape, begin, end)
    if not all(type(number) is int and number >= 0 for number in numbers) or len(shape) > MAX_AXES:
        expected = "sizes and offsets that are whole numbers"
        raise _damaged(where, expected, str(entry)[:200], error)
    if start + end > size or end < begin:
        raise _damaged(where, f"bytes up to {start + end}", f"a file of {size}", error)
    dtype = DTYPES.get(stored)
    if dtype is not None and prod(shape) * np.dtype(dtype).itemsize != end - begin:
        raise _damaged(where, f"the bytes of {stored} x {shape}", f"{end - begin} bytes", error)
    return TensorEntry(name, stored, shape, start + begin)


def _damaged(where: object, expected: str, found: str, error: type[RnnscopeError]) -> RnnscopeError:
    return error(
        "The .safetensors file is truncated or damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="copy or download the file again, and compare its size with the original",
    )


def open_tensor(
    path: AnyFile, entry: TensorEntry, error: type[RnnscopeError] = InputError
) -> StoredArray:
    """A tensor of a file, read when asked for; 16-bit brain floats come as float32.

    Raises
    ------
    RnnscopeError
        It is of a type that numpy lacks.
    """
    if not entry.is_readable:
        raise error(
            "A stored tensor has a dtype that rnnscope does not read.",
            where=f"{path}: {entry.name}",
            expected=f"one of {', '.join(DTYPES)}",
            found=entry.dtype,
        )
    dtype = np.dtype(DTYPES[entry.dtype])
    array: StoredArray = FileArray(path, entry.offset, entry.shape, dtype, fortran=False)
    if not entry.shape:
        array = LoadedArray(array.read())
    return Bfloat16(array) if entry.dtype == "BF16" else array


def write_safetensors(path: Path, arrays: Mapping[str, StoredArray]) -> None:
    """Write arrays, a block at a time."""
    header: dict[str, Any] = {}
    at = 0
    for name, array in arrays.items():
        stop = at + prod(array.shape) * array.dtype.itemsize
        header[name] = {
            "dtype": NAMES[array.dtype.newbyteorder("=")],
            "shape": list(array.shape),
            "data_offsets": [at, stop],
        }
        at = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # values begin at a multiple of eight bytes
    with path.open("xb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            little = array.dtype.newbyteorder("<")
            for key in blocks(array.shape, array.dtype.itemsize):
                file.write(array.read(key).astype(little, copy=False).tobytes())
