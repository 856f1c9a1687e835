"""``.safetensors`` files: a length, a JSON header, and raw little-endian tensors.

Read here rather than with the safetensors library: the format is a header and slices of bytes.

References
----------
https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.errors import CheckpointError
from rnnscope.files.loadable_arrays import StoredArray
from rnnscope.model.cell import Array

MAX_HEADER = 100_000_000
"""What the library allows, in bytes."""

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def sniff(path: Path) -> bool:
    """Whether a file begins with the length of a JSON object that follows. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(9)
    except OSError:
        return False
    if len(head) < 9:
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return 2 <= length <= MAX_HEADER and head[8:] == b"{"


def read_arrays(path: Path) -> tuple[list[StoredArray], dict[str, str]]:
    """The arrays of a file, and its metadata.

    Raises
    ------
    CheckpointError
        The header does not parse, or tells of bytes that are not there.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = file.read(length) if 8 + length <= size else b""
    if len(header) != length:
        raise _damaged(path, f"a header of {length} bytes", f"a file of {size}")
    try:
        entries = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "a header in JSON", str(error)[:200]) from error
    if not isinstance(entries, dict):
        raise _damaged(path, "a JSON object", type(entries).__name__)
    metadata = entries.pop("__metadata__", None)
    start = 8 + length
    arrays = [_entry(path, name, entry, start, size) for name, entry in entries.items()]
    return arrays, metadata if isinstance(metadata, dict) else {}


def _entry(path: Path, name: str, entry: Any, start: int, size: int) -> StoredArray:
    where = f"{path}: {name}"
    try:
        stored, shape = str(entry["dtype"]), tuple(entry["shape"])
        begin, end = entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(where, "dtype, shape and two data_offsets", str(entry)[:200]) from error
    numbers = (*shape, begin, end)
    if not all(type(number) is int and number >= 0 for number in numbers) or len(shape) > 32:
        raise _damaged(where, "sizes and offsets that are whole numbers", str(entry)[:200])
    if start + end > size:
        raise _damaged(where, f"bytes up to {start + end}", f"a file of {size}")
    # A dtype that numpy lacks (8-bit floats) is no weight of a recurrent module: named if needed.
    dtype = DTYPES.get(stored)
    if dtype is not None and math.prod(shape) * np.dtype(dtype).itemsize != end - begin:
        raise _damaged(where, f"the bytes of {stored} x {shape}", f"{end - begin} bytes")
    return StoredArray(name, shape, partial(_load, path, where, stored, shape, start + begin))


def _load(path: Path, where: str, stored: str, shape: tuple[int, ...], start: int) -> Array:
    if stored not in DTYPES:
        raise CheckpointError(
            "A stored tensor has a dtype that rnnscope does not read.",
            where=where,
            expected=f"one of {', '.join(DTYPES)}",
            found=stored,
        )
    dtype = np.dtype(DTYPES[stored])
    with path.open("rb") as file:
        file.seek(start)
        values = np.frombuffer(file.read(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)
    if stored == "BF16":
        # A bfloat16 is the upper half of the float32 of the same value.
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32) if stored == "F16" else values.astype(dtype.newbyteorder("="))


def _damaged(where: object, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "The .safetensors file is truncated or damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="copy or download the file again, and compare its size with the original",
    )


def read_safetensors(path: Path) -> Checkpoint:
    """Read the recurrent modules of a PyTorch state dict in a ``.safetensors`` file.

    Raises
    ------
    CheckpointError
        The file is damaged.
    UnsupportedCellError
        It holds no recurrent module.
    """
    arrays, metadata = read_arrays(path)
    found = read_state_dict(arrays, path)
    written = str(metadata.get("format", ""))[:20]
    return Checkpoint(
        path=path,
        format=READER.name,
        framework="PyTorch" if written in ("", "pt") else f"safetensors ({written})",
        files=(path,),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=tuple(found.notes),
    )


READER = Reader(
    name="safetensors",
    title="PyTorch state dict in .safetensors",
    reads="nn.LSTM, nn.GRU, nn.RNN and their cells by name and shape; stacks, both directions, "
    "proj_size; 16-bit floats",
    does_not_read="what feeds what between modules (guessed from widths), nn.RNN's nonlinearity",
    sniff=sniff,
    read=read_safetensors,
)
