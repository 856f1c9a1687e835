"""Parsing TensorFlow's messages, and the tensors in them, as data.

Float16 and bfloat16 values are widened to float32 on reading, which is exact: rnnscope computes
in float32 or float64 alone.

References
----------
tensorflow/core/framework/{types,tensor,tensor_shape}.proto; Tensor::FromProto in tensor.cc.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import CheckpointError
from rnnscope.files.messages.slim_messages import Held, parse_file
from rnnscope.files.messages.values_in_file import value_in_file, whole_value
from rnnscope.files.tensorflow.proto_schema import TABLE, message_class
from rnnscope.model.cell import Array
from rnnscope.model.half_floats import HalfFloat

DTYPE_NAMES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string",
    8: "complex64", 9: "int64", 10: "bool", 11: "qint8", 12: "quint8", 13: "qint32",
    14: "bfloat16", 15: "qint16", 16: "quint16", 17: "uint16", 18: "complex128", 19: "float16",
    20: "resource", 21: "variant", 22: "uint32", 23: "uint64", 24: "float8_e5m2",
    25: "float8_e4m3fn", 29: "int4", 30: "uint4",
}  # fmt: skip
"""TensorFlow's DataType numbers, by the names that its Python API uses."""

STRING, BFLOAT16, HALF = 7, 14, 19

HALF_FLOATS: dict[int, HalfFloat] = {BFLOAT16: "bfloat16", HALF: "float16"}
"""Floats of 16 bits, which arrays hold as float32."""

DTYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype("float32" if number in (BFLOAT16, HALF) else name)
    for number, name in DTYPE_NAMES.items()
    if number in (1, 2, 3, 4, 5, 6, 8, 9, 10, BFLOAT16, 17, 18, HALF, 22, 23)
}
"""DataType number to the dtype of the array that reading gives: 16-bit floats become float32."""

STORED_DTYPES: dict[int, np.dtype[Any]] = {
    **{number: dtype.newbyteorder("<") for number, dtype in DTYPES.items()},
    BFLOAT16: np.dtype("<u2"),  # NumPy has no bfloat16: its bits are read and widened
    HALF: np.dtype("<f2"),
}
"""DataType number to the dtype of the stored bytes."""

MAX_ELEMENTS = 1 << 28
"""How many elements a tensor may have whose values are not all stored (1 GiB of float32)."""

MAX_RANK = 32
"""NumPy 1 arrays have no more axes."""


HELD = {"TensorProto": {4: Held(4)}}
"""Values that stay in their file where they are large: tensor_content."""


def base_dtype(number: int) -> int:
    """A DataType without its reference bit: TensorFlow adds 100 for a reference to a variable."""
    return number - 100 if number > 100 else number


def dtype_name(number: int) -> str:
    """A DataType in words; reference types as what they refer to."""
    return DTYPE_NAMES.get(base_dtype(number), f"DataType {number}")


def widen(stored: Array, number: int) -> Array:
    """Turn an array of `STORED_DTYPES` into `DTYPES`: float16 and bfloat16 become float32."""
    if number == BFLOAT16:
        # A bfloat16 is the upper half of the float32 of the same value.
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(DTYPES[number], copy=False)


def parse(message_name: str, data: bytes, where: object) -> Any:
    """Parse a serialized message.

    Parameters
    ----------
    message_name : str
        A message of `proto_schema.SCHEMA`, for example ``"MetaGraphDef"``.
    data : bytes
    where : object
        What the bytes are, for the error: a path, or a path and a key.

    Raises
    ------
    CheckpointError
        If the bytes are no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        return message_class(message_name).FromString(data)
    except DecodeError as error:
        raise _no_message(message_name, len(data), where, error) from error


def parse_graph_file(message_name: str, path: Path) -> Any:
    """Parse a file as a message; its large tensors stay in the file until they are read.

    Parameters
    ----------
    message_name : str
        As for `parse`.
    path : Path

    Raises
    ------
    CheckpointError
        If it holds no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        return parse_file(TABLE, message_name, path, HELD)
    except DecodeError as error:
        raise _no_message(message_name, path.stat().st_size, path, error) from error


def _no_message(name: str, size: int, where: object, error: Exception) -> CheckpointError:
    return CheckpointError(
        "A protocol message does not parse.",
        where=where,
        expected=f"a {name}",
        found=f"{size} bytes that are none ({error})",
        hint="the file is corrupted or of another kind: copy it again from its source",
    )


def shape_of(shape: Any, where: object) -> tuple[int, ...]:
    """A TensorShapeProto as a tuple, checked so that NumPy can hold it.

    Raises
    ------
    CheckpointError
        If the rank or an axis is unknown, or the shape is beyond any array.
    """
    sizes = tuple(dim.size for dim in shape.dim)
    unknown = shape.unknown_rank or any(size < 0 for size in sizes)
    if unknown or len(sizes) > MAX_RANK or math.prod(filter(None, sizes)) >= 1 << 59:
        raise CheckpointError(
            "A stored tensor has an impossible shape.",
            where=where,
            expected=f"at most {MAX_RANK} axes of known size",
            found="an unknown rank" if shape.unknown_rank else f"{sizes}",
            hint="the file is corrupted: copy it again from its source",
        )
    return sizes


def tensor_to_array(tensor: Any, where: object = "a TensorProto", *, exact: bool = False) -> Array:
    """The array that a TensorProto spells, as raw bytes or as a list of values.

    A list shorter than the tensor repeats its last value, as TensorFlow writes constants.

    Parameters
    ----------
    tensor : TensorProto
    where : object
        The node or key it belongs to, for the error.
    exact : bool
        Every value must be spelt out, as V1 checkpoints do it.

    Returns
    -------
    ndarray
        Of the tensor's shape; its dtype is that of `DTYPES` (float16 and bfloat16 come as
        float32), or object, holding bytes, for strings.

    Raises
    ------
    CheckpointError
        If the dtype is one that rnnscope does not read, or values and shape do not fit.
    """
    shape, number = shape_of(tensor.tensor_shape, where), base_dtype(tensor.dtype)
    size = math.prod(shape)
    if number == STRING:
        values = np.array([*tensor.string_val, None], dtype=object)[:-1]
    elif number not in DTYPES:
        raise unreadable_dtype(tensor.dtype, where)
    elif tensor.tensor_content:
        return widen(
            _from_content(whole_value(tensor.tensor_content), number, shape, where), number
        )
    else:
        values = _from_values(tensor, number)
    if len(values) > size or (len(values) == 0 and size > 0 and number == STRING):
        raise _misfit(f"{size} values for shape {shape}", f"{len(values)}", where)
    if len(values) < size:
        if exact:
            raise _misfit(f"{size} values for shape {shape}", f"{len(values)}", where)
        if size > MAX_ELEMENTS:
            raise _misfit(f"at most {MAX_ELEMENTS} repeated values", f"{size}", where)
        last = values[-1:] if len(values) else np.zeros(1, values.dtype)
        values = np.concatenate([values, np.repeat(last, size - len(values))])
    return values.reshape(shape)


def any_value(tensor: Any, where: object) -> bool:
    """Whether any value of a TensorProto is not zero.

    What stayed in its file is read in pieces.

    Raises
    ------
    CheckpointError
        As of `tensor_to_array`.
    """
    held = value_in_file(tensor.tensor_content)
    number = base_dtype(tensor.dtype)
    if held is None or number not in STORED_DTYPES:
        return bool(tensor_to_array(tensor, where).any())
    if held.size % STORED_DTYPES[number].itemsize:  # damaged, which the array itself says
        return bool(tensor_to_array(tensor, where).any())
    return any(np.frombuffer(piece, STORED_DTYPES[number]).any() for piece in held.pieces())


def unreadable_dtype(number: int, where: object) -> CheckpointError:
    """The error for a tensor of a dtype that rnnscope lists but does not read."""
    return CheckpointError(
        "A stored tensor has a dtype that rnnscope does not read.",
        where=where,
        expected=f"one of {', '.join(DTYPE_NAMES[known] for known in DTYPES)}",
        found=dtype_name(number),
        hint="no weight of a recurrent cell has this dtype: leave the variable out",
    )


def _from_content(
    content: bytes | memoryview, number: int, shape: tuple[int, ...], where: object
) -> Array:
    dtype = STORED_DTYPES[number]
    expected = math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise _misfit(f"{expected} bytes for shape {shape}", f"{len(content)}", where)
    return np.frombuffer(content, dtype).reshape(shape)


_VALUE_FIELDS = {
    1: "float_val", 2: "double_val", 8: "scomplex_val", 9: "int64_val", 10: "bool_val",
    BFLOAT16: "half_val", 18: "dcomplex_val", HALF: "half_val", 22: "uint32_val",
    23: "uint64_val",
}  # fmt: skip


def _from_values(tensor: Any, number: int) -> Array:
    """The typed values of a TensorProto, one axis. Smaller integers all share ``int_val``."""
    values = getattr(tensor, _VALUE_FIELDS.get(number, "int_val"))
    if number in (BFLOAT16, HALF):
        bits = np.array(values, dtype=np.int64).astype(np.uint16)
        return widen(bits.view(STORED_DTYPES[number]), number)
    if number in (8, 18):
        parts = np.array(values, dtype=np.float64)
        return (parts[0::2] + 1j * parts[1::2]).astype(DTYPES[number])
    if number in (9, 23):
        return np.array(values, dtype=DTYPES[number])
    if number in _VALUE_FIELDS:
        return np.array(values).astype(DTYPES[number])
    return np.array(values, dtype=np.int64).astype(DTYPES[number])


def _misfit(expected: str, found: str, where: object) -> CheckpointError:
    return CheckpointError(
        "A stored tensor does not fit its shape.",
        where=where,
        expected=expected,
        found=found,
        hint="the file is corrupted: copy it again from its source",
    )
