"""Values of an ML program: stated in the program, or in a file of weights beside it.

References
----------
coremltools, mlmodel/format/MIL.proto; the storage format of MILBlob: entries of 64 bytes with a
sentinel, a type, a size and an offset, each before its data.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.tensors import MAX_BYTES, STORED
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import Array

DATA_TYPES = {
    1: 9, 10: 10, 11: 1, 12: 11, 13: 16, 21: 3, 22: 5, 23: 6, 24: 7, 31: 2, 32: 4, 33: 12, 34: 13,
}  # fmt: skip
"""MIL's DataType as ONNX's."""

STRING = 2

BLOB_TYPES = {1: 10, 2: 1, 3: 2, 4: 3, 5: 16, 6: 5, 7: 4}
"""The type of a blob as ONNX's."""

SENTINEL = 0xDEADBEEF
ENTRY = struct.Struct("<IIQQ")
MODEL_PATH = "@model_path/"


class NotStated(Exception):  # noqa: N818 - it ends no program: who wants the value says so
    """Why a value is no array that is read."""


@dataclass(frozen=True)
class Blob:
    """Where the data of a value lies.

    Attributes
    ----------
    data_type : int
        As ONNX numbers them.
    shape : tuple of int
    location : str
        The file, from the model's folder.
    offset, size : int
    """

    data_type: int
    shape: tuple[int, ...]
    location: str
    offset: int
    size: int


def shape_of(value: Any, where: str) -> tuple[int, ...]:
    """The shape of a Value's type; all sizes of a constant are known."""
    dimensions = value.type.tensorType.dimensions
    shape = tuple(int(dim.constant.size) for dim in dimensions)
    if len(shape) > 16 or math.prod(filter(None, shape)) * 8 > MAX_BYTES:
        raise CheckpointError(
            "A stored value has an impossible shape.",
            where=where,
            expected=f"at most 16 axes, and {MAX_BYTES} bytes",
            found=str(shape)[:200],
            hint="the file is damaged: copy it again from its source",
        )
    return shape


def text_of(value: Any) -> str:
    """The text that a Value states."""
    strings = value.immediateValue.tensor.strings.values
    if len(strings) != 1:
        raise NotStated("holds no text")
    return str(strings[0])


def is_text(value: Any) -> bool:
    """Whether a Value states text."""
    return bool(value.type.tensorType.dataType == STRING)


def immediate(value: Any, where: str) -> Array:
    """The array that a Value states in the program itself.

    Raises
    ------
    NotStated
        It lies in a file, or is of a type that is not read.
    CheckpointError
        Its values do not fit its shape.
    """
    kind = value.type.tensorType.dataType
    if value.WhichOneof("value") != "immediateValue" or kind not in DATA_TYPES:
        raise NotStated(f"holds values of MIL data type {kind}")
    dtype = np.dtype(STORED[DATA_TYPES[kind]][0])
    if DATA_TYPES[kind] == 16:
        raise NotStated("states bfloat16 in the program")
    tensor = value.immediateValue.tensor
    field = tensor.WhichOneof("value")
    if field == "bytes":
        raw = bytes(tensor.bytes.values)
        if len(raw) % dtype.itemsize:
            raise _misfit(where, f"values of {dtype.itemsize} bytes", f"{len(raw)} bytes")
        flat = np.frombuffer(raw, dtype)
    elif field in ("floats", "ints", "bools", "longInts", "doubles"):
        flat = np.asarray(getattr(tensor, field).values).astype(dtype)
    else:
        raise NotStated("holds no numbers")
    shape = shape_of(value, where)
    if flat.size == 1 and math.prod(shape) > 1:
        flat = np.broadcast_to(flat, math.prod(shape))  # one value stands for all of them
    if flat.size != math.prod(shape):
        raise _misfit(where, f"values of shape {shape}", f"{flat.size} values")
    return flat.reshape(shape)


def blob(value: Any, folder: Path, where: str) -> Blob:
    """Where the data of a Value lies that is kept in a file.

    Raises
    ------
    NotStated
        It is of a type that is not read.
    CheckpointError
        There is no entry of a blob at that place.
    """
    stated = value.blobFileValue
    location = stated.fileName.removeprefix(MODEL_PATH)
    path = folder / location
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(
            "The weights of a Core ML model lie outside of it, and are not read.",
            where=where, expected=f"a file in {folder}", found=stated.fileName,
        )  # fmt: skip
    try:
        with path.open("rb") as file:
            file.seek(stated.offset)
            raw = file.read(ENTRY.size)
    except OSError as error:
        raise CheckpointError(
            "The weights of a Core ML model cannot be read.",
            where=where, expected=str(path), found=error.strerror,
            hint="copy the whole .mlpackage folder",
        ) from error  # fmt: skip
    sentinel, kind, size, offset = ENTRY.unpack(raw) if len(raw) == ENTRY.size else (0, 0, 0, 0)
    if sentinel != SENTINEL:
        raise _misfit(
            f"{path}: {where}", f"an entry of a blob at byte {stated.offset}", repr(raw[:8])
        )
    if kind not in BLOB_TYPES:
        raise NotStated(f"holds values of blob type {kind}")
    return Blob(BLOB_TYPES[kind], shape_of(value, where), location, offset, size)


def _misfit(where: str, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "A stored value of a Core ML model is damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="copy the model again from its source",
    )
