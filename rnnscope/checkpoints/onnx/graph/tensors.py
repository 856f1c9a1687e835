"""Tensors of an ONNX file as arrays: raw bytes, lists of values, or bytes in a file beside it.

Float16 and bfloat16 values are widened to float32 on reading, whole numbers of two and four bits to
8, which is exact.

References
----------
onnx/onnx.proto, TensorProto; docs/ExternalData.md of ONNX.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import CheckpointError
from rnnscope.files.messages.values_in_file import value_in_file
from rnnscope.model.cell import Array
from rnnscope.model.half_floats import HalfFloat

FLOAT, DOUBLE, FLOAT16, BFLOAT16 = 1, 11, 10, 16
EXTERNAL = 1

STORED: dict[int, tuple[str, str]] = {
    FLOAT: ("<f4", "float_data"),
    2: ("u1", "int32_data"),
    3: ("i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    FLOAT16: ("<f2", "int32_data"),
    DOUBLE: ("<f8", "double_data"),
    12: ("<u4", "uint64_data"),
    13: ("<u8", "uint64_data"),
    BFLOAT16: ("<u2", "int32_data"),
}
"""TensorProto.DataType to the dtype of the stored bytes, and the field that lists values."""

PACKED: dict[int, tuple[int, str]] = {21: (4, "u1"), 22: (4, "i1"), 25: (2, "u1"), 26: (2, "i1")}
"""Whole numbers that share a byte: how many bits each has, and what they are widened to.

The first one has the lowest bits of a byte; in a list of values each value is such a byte.
"""

_NAMES = {
    8: "string", 14: "complex64", 15: "complex128", 17: "float8e4m3fn", 18: "float8e4m3fnuz",
    19: "float8e5m2", 20: "float8e5m2fnuz", 23: "float4e2m1", 24: "float8e8m0",
}  # fmt: skip
"""DataTypes that are not read."""

FLOATS = (FLOAT, DOUBLE, FLOAT16, BFLOAT16)

HALF_FLOATS: dict[int, HalfFloat] = {FLOAT16: "float16", BFLOAT16: "bfloat16"}

INTEGERS = (2, 4, 5, 6, 7, 9, 12, 13)
"""DataTypes of indices and shapes; 8-bit integers with a sign may be quantised weights."""

MAX_BYTES = 16 * 2**30
"""The largest tensor that is read."""

MAX_RANK = 32


class UnreadTypeError(CheckpointError):
    """A tensor of a type that is not read: who does not need it goes on without.

    Attributes
    ----------
    reason : str
        The end of "Layer 'x' of class MatMul …".
    """

    def __init__(self, tensor: Any, where: str) -> None:
        kind = data_type_name(tensor.data_type)
        self.reason = f"reads tensor '{tensor.name}' of {kind}, which rnnscope does not read"
        super().__init__(
            "A stored tensor has a dtype that rnnscope does not read.",
            where=where,
            expected="a number of 2, 4 or 8 to 64 bits",
            found=kind,
            hint="weights of a recurrent layer are floats: is this one of a quantised layer?",
        )


def data_type_name(number: int) -> str:
    """A TensorProto.DataType in words."""
    named = f" ({_NAMES[number]})" if number in _NAMES else ""
    return f"ONNX data type {number}{named}"


class TensorStore:
    """Reads the tensors of one model file.

    Attributes
    ----------
    path : Path
        The model; external data must lie in its folder.
    files : list of Path
        The files beside it that were read, in the order in which they were first needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[Path] = []

    def array(self, tensor: Any, name: str = "") -> Array:
        """The array of a TensorProto.

        Raises
        ------
        CheckpointError
            Its dtype is not read, its bytes do not fit its shape, or they lie outside the folder.
        """
        where = f"{self.path}: {tensor.name or name or 'a tensor'}"
        if not is_read(tensor.data_type):
            raise UnreadTypeError(tensor, where)
        shape = _shape(tensor, where)
        dtype, field = _stored(tensor.data_type)
        size = _byte_count(shape, tensor.data_type)
        if tensor.data_location == EXTERNAL:
            values = np.frombuffer(self._external(tensor, size, where), dtype)
        elif tensor.raw_data:
            values = np.frombuffer(_raw(tensor.raw_data, shape, size, dtype, where), dtype)
        else:
            values = _listed(getattr(tensor, field), tensor.data_type, dtype)
        if values.nbytes != size:
            raise _misfit(where, shape, f"{len(values)} values")
        return _widen(values, tensor.data_type, math.prod(shape)).reshape(shape)

    def _external(self, tensor: Any, size: int, where: str) -> bytes:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._beside(entries.get("location", ""), where)
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError:
            offset, length = -1, -1
        if length != size:
            raise CheckpointError(
                "A tensor's external data does not fit its shape.",
                where=where,
                expected=f"{size} bytes",
                found=f"length {entries.get('length')}, offset {entries.get('offset', 0)}",
                hint="the model is damaged, or was changed: export it again",
            )
        there = path.stat().st_size
        if offset < 0 or offset + size > there:
            raise CheckpointError(
                "A tensor's external data lies beyond the end of its file.",
                where=f"{where}, in {path}",
                expected=f"{size} bytes from byte {offset} on",
                found=f"a file of {there} bytes",
                hint="the file is truncated: copy or download it again",
            )
        if path not in self.files:
            self.files.append(path)
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def _beside(self, location: str, where: str) -> Path:
        """The file that an external tensor names: in the model's folder, or refused."""
        folder = self.path.resolve().parent
        named = self.path.parent / location
        try:
            path = named.resolve()
            inside = bool(location) and path.is_relative_to(folder)
            found = inside and path.is_file()
        except (OSError, ValueError, RuntimeError):  # NUL in a name, a circle of links
            inside = found = False
        if inside and found and not Path(location).is_absolute():
            return path
        raise CheckpointError(
            "A tensor's external data is not to be had."
            if inside
            else "A tensor's external data lies outside the model's folder, and is not read.",
            where=where,
            expected=f"a file in {folder}",
            found=location or "no location",
            hint="put the data file beside the model, under the name that it had",
        )


def is_read(number: int) -> bool:
    """Whether tensors of a TensorProto.DataType are read."""
    return number in STORED or number in PACKED


def _stored(number: int) -> tuple[str, str]:
    """The dtype of the stored values, and the field that lists them."""
    return ("u1", "int32_data") if number in PACKED else STORED[number]


def _byte_count(shape: tuple[int, ...], number: int) -> int:
    """How many bytes a tensor takes."""
    count = math.prod(shape)
    if number in PACKED:
        return -(-count * PACKED[number][0] // 8)
    return count * np.dtype(STORED[number][0]).itemsize


def _shape(tensor: Any, where: str) -> tuple[int, ...]:
    shape = tuple(tensor.dims)
    known = len(shape) <= MAX_RANK and all(size >= 0 for size in shape)
    if not known or math.prod(filter(None, shape)) * 8 > MAX_BYTES:
        raise CheckpointError(
            "A stored tensor has an impossible shape.",
            where=where,
            expected=f"at most {MAX_RANK} axes, and {MAX_BYTES} bytes",
            found=str(shape)[:200],
            hint="the file is damaged: copy it again from its source",
        )
    return shape


def stays_in_file(tensor: Any) -> bool:
    """Whether a tensor's values are not in memory yet: too large, or in a file beside the model."""
    return tensor.data_location == EXTERNAL or value_in_file(tensor.raw_data) is not None


def _raw(
    stored: bytes, shape: tuple[int, ...], wanted: int, dtype: str, where: str
) -> bytes | memoryview:
    """The bytes of a tensor, read now if they stayed in the file."""
    in_file = value_in_file(stored)
    size = len(stored) if in_file is None else in_file.size
    if size != wanted:
        raise _misfit(where, shape, f"{size} bytes")
    if in_file is None:
        return stored
    if in_file.dtype and np.dtype(in_file.dtype) != dtype:
        raise _misfit(where, shape, f"a list of {in_file.dtype}")
    return in_file.read()


def _listed(values: Any, number: int, dtype: str) -> Array:
    """A list of values; 16-bit floats are listed as their bits."""
    if number in (FLOAT16, BFLOAT16):
        return np.asarray(values, np.int64).astype(np.uint16).view(dtype)
    if number in PACKED:
        return np.asarray(values, np.int64).astype(np.uint8)
    return np.asarray(values).astype(dtype)


def _widen(values: Array, number: int, count: int) -> Array:
    if number in PACKED:
        return _unpack(values, *PACKED[number])[:count]
    if number == BFLOAT16:
        # A bfloat16 is the upper half of the float32 of the same value.
        return (values.astype(np.uint32) << 16).view(np.float32)
    if number == FLOAT16:
        return values.astype(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _unpack(packed: Array, bits: int, dtype: str) -> Array:
    """Every number of some bytes; those with a sign are in two's complement."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    # Shifted to the top and back, the highest bit of a number becomes its sign.
    top = (packed[:, None] << (8 - bits - shifts)).astype(np.uint8).view(dtype)
    return (top >> (8 - bits)).astype(dtype).reshape(-1)


def _misfit(where: str, shape: tuple[int, ...], found: str) -> CheckpointError:
    return CheckpointError(
        "A stored tensor does not fit its shape.",
        where=where,
        expected=f"the values of shape {shape}",
        found=found,
        hint="the file is damaged: copy it again from its source",
    )
