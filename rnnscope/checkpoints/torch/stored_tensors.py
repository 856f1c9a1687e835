"""Stored bytes as arrays of numbers: dtypes, strides, and what is widened."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from rnnscope.checkpoints.torch.pickled_values import PickledArray, PickledTensor
from rnnscope.checkpoints.torch.zip_members import damaged
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import Array

DTYPES = {
    "BFloat16Storage": "u2", "BoolStorage": "?", "ByteStorage": "u1", "CharStorage": "i1",
    "ComplexDoubleStorage": "c16", "ComplexFloatStorage": "c8", "DoubleStorage": "f8",
    "FloatStorage": "f4", "HalfStorage": "f2", "IntStorage": "i4", "LongStorage": "i8",
    "ShortStorage": "i2", "uint16": "u2", "uint32": "u4", "uint64": "u8",
}  # fmt: skip
"""Kinds of `PickledTensor` that are read; the others are quantised, or floats of eight bits."""

MAX_ELEMENTS = 1 << 24
"""A tensor with strides of zero can be larger than its storage."""


def load_array(array: PickledArray, where: object) -> Array:
    """An array of numpy that lies in a pickle; half floats are widened.

    Raises
    ------
    CheckpointError
        Its dtype is none of numbers, or its bytes do not fit its shape.
    """
    dtype = array.dtype
    if dtype is None or re.fullmatch(r"[biufc]\d{1,2}", dtype.code) is None:
        code = "none" if dtype is None else dtype.code
        raise _unread_dtype(where, code)
    try:
        stored = np.dtype(dtype.code).newbyteorder(dtype.order if dtype.order in "<>" else "=")  # type: ignore[arg-type]
    except TypeError as error:
        raise _unread_dtype(where, dtype.code) from error
    try:
        flat = np.frombuffer(array.data, stored)
        values = flat.reshape(array.shape, order="F" if array.fortran else "C")
    except ValueError as error:
        found = f"{len(array.data)} bytes of {stored}"
        raise damaged(where, f"the values of shape {array.shape}", found) from error
    wide = np.float32 if stored == np.float16 else stored.newbyteorder("=")
    return np.ascontiguousarray(values.astype(wide)).reshape(array.shape)


def _unread_dtype(where: object, found: str) -> CheckpointError:
    return CheckpointError(
        "A stored tensor has a dtype that rnnscope does not read.",
        where=where,
        expected="floats of 16, 32 or 64 bits, or integers",
        found=found,
        hint="load it where it was made, and save it as float32",
    )


def tensor_values(data: Any, order: str, tensor: PickledTensor, where: object) -> Array:
    """A tensor of the bytes of its storage; half floats are widened.

    Raises
    ------
    CheckpointError
        Its kind is not read, or it does not fit its storage.
    """
    storage = tensor.storage
    if len(data) != storage.bytes:
        raise damaged(where, f"a storage of {storage.bytes} bytes", f"{len(data)}")
    if math.prod(tensor.shape) > max(storage.count, MAX_ELEMENTS):
        raise damaged(where, f"at most {MAX_ELEMENTS} elements", f"shape {tensor.shape}")
    if tensor.kind not in DTYPES:
        raise _unread_dtype(where, tensor.kind)
    dtype = np.dtype(DTYPES[tensor.kind]).newbyteorder(order)  # type: ignore[arg-type]
    # An untyped storage may end with bytes that make no whole element.
    data = data[: len(data) // dtype.itemsize * dtype.itemsize]
    elements = np.frombuffer(data, dtype)[tensor.offset :]
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    values = np.lib.stride_tricks.as_strided(elements, tensor.shape, strides, writeable=False)
    if tensor.kind == "BFloat16Storage":
        # A bfloat16 is the upper half of the float32 of the same value.
        return np.ascontiguousarray((values.astype(np.uint32) << 16).view(np.float32))
    if tensor.kind == "HalfStorage":
        return values.astype(np.float32)
    if values.size == elements.size:
        return np.ascontiguousarray(values, dtype.newbyteorder("="))
    return np.array(values, dtype.newbyteorder("="), order="C")  # the rest need not be kept
