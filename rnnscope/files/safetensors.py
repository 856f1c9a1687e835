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

from rnnscope.errors import InputError
from rnnscope.files.array_views import Lazy, blocks
from rnnscope.files.stored_array import FileArray, Key, LoadedArray, StoredArray
from rnnscope.model.cell import Array

MAX_HEADER = 100 * 2**20
"""The format's own limit."""

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


def looks_like_safetensors(path: Path) -> bool:
    """True if a JSON object follows eight bytes that tell its length. Never raises."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
            size = path.stat().st_size
    except OSError:
        return False
    return len(head) == 9 and head[8:] == b"{" and struct.unpack("<Q", head[:8])[0] + 8 <= size


def open_safetensors(path: Path) -> dict[str, StoredArray]:
    """The arrays by name, each read when asked for.

    Raises
    ------
    InputError
        The header is damaged, or an array lies outside the file.
    """
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            # What is cut off here does not parse.
            header = json.loads(file.read(min(length, MAX_HEADER)))
        return {
            name: _array(path, 8 + length, entry)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise InputError(
            "The .safetensors file cannot be read.",
            where=path,
            expected="a whole file: header, then arrays",
            found=str(error) or type(error).__name__,
            hint="copy or write the file again",
        ) from error


def _array(path: Path, base: int, entry: Mapping[str, Any]) -> StoredArray:
    dtype = np.dtype(DTYPES[entry["dtype"]])
    shape = tuple(int(size) for size in entry["shape"])
    start, stop = (int(offset) for offset in entry["data_offsets"])
    if min((*shape, start), default=0) < 0 or stop - start != prod(shape) * dtype.itemsize:
        raise ValueError(f"shape {shape} of {dtype} does not take bytes {start} to {stop}")
    array: StoredArray = FileArray(path, base + start, shape, dtype, fortran=False)
    if not shape:
        array = LoadedArray(array.read())
    return Bfloat16(array) if entry["dtype"] == "BF16" else array


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
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            little = array.dtype.newbyteorder("<")
            for key in blocks(array.shape, array.dtype.itemsize):
                file.write(array.read(key).astype(little, copy=False).tobytes())
