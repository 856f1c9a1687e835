"""What calls in pickles would give: arrays of numpy.

References
----------
numpy/_core/multiarray and numeric (``scalar``, ``_frombuffer``).
"""

from __future__ import annotations

import re
from math import prod
from typing import Any

from rnnscope.checkpoints.torch.pickled_values import (
    MAX_AXES,
    Dtype,
    Name,
    PickledArray,
    Record,
)


def empty_array(kind: Any, *_: Any) -> Any:
    """What ``_reconstruct`` gives: an array that is filled by its state."""
    known = Name("numpy", "ndarray"), Name("numpy.core.memmap", "memmap"), Name("numpy", "memmap")
    return PickledArray() if kind in known else Record(kind)


def scalar(dtype: Any, data: Any = b"") -> Any:
    """A number of numpy, as an array without axes."""
    array = PickledArray()
    fill_array(array, (), dtype, False, data)
    return array


def array_of_buffer(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> Any:
    """What ``_frombuffer`` gives."""
    array = PickledArray()
    fill_array(array, shape, dtype, order == "F", data)
    return array


def dtype_of(code: Any = "", *_: Any) -> Any:
    """A dtype by its code; an empty one where it has none."""
    return Dtype(code if type(code) is str else "")


def fill_array(array: PickledArray, shape: Any, dtype: Any, fortran: bool, data: Any) -> None:
    """Give an array its shape, dtype and bytes, or the objects it holds."""
    if type(shape) is int:
        shape = (shape,)
    if type(data) is list:  # an array of objects
        if type(dtype) is not Dtype or not dtype.code.startswith("O"):
            raise ValueError("an array of numbers in a list")
        array.objects, data = data, b""
    if type(data) is str:  # from Python 2, where a text is bytes
        data = data.encode("latin-1")
    whole = all(type(size) is int and size >= 0 for size in shape)
    if type(dtype) is not Dtype or not whole or len(shape) > MAX_AXES:
        raise ValueError("an array without a dtype or shape")
    size = re.fullmatch(r"[biufc](\d{1,2})", dtype.code)
    if size is not None and type(data) in (bytes, bytearray, memoryview):
        if len(data) != prod(shape) * int(size[1]):
            raise ValueError(f"an array of shape {tuple(shape)} in {len(data)} bytes")
        array.data = data if type(data) is memoryview else bytes(data)
    array.dtype, array.shape, array.fortran = dtype, tuple(shape), fortran
