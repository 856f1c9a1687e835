"""Memory that is used again, and starts where vectors like it."""

from __future__ import annotations

import math
from ctypes import addressof, c_char
from typing import Any

import numpy as np

from rnnscope.model.cell import Array

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""


def address(array: Array) -> int:
    """Where the first value of an array lies, whose values lie without gaps.

    numpy tells it in two microseconds, and a call of compiled steps hands over thirty arrays; of
    memory that may be written to, `ctypes` tells it in a fifth of that.
    """
    if array.flags.writeable and array.size:
        return addressof(c_char.from_buffer(array))  # type: ignore[arg-type]
    found: int = array.__array_interface__["data"][0]
    return found


def aligned(shape: tuple[int, ...], dtype: Any = np.float32, *, zeros: bool = True) -> Array:
    """Zeros, or whatever was there, whose memory starts at a multiple of `ALIGNMENT`."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = (np.zeros if zeros else np.empty)(size + ALIGNMENT, np.uint8)
    start = -address(memory) % ALIGNMENT
    array: Array = memory[start : start + size].view(dtype).reshape(shape)
    return array


class Workspace:
    """Arrays that are used again: asking for one of the same size gives the same memory."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array of that shape, contents undefined."""
        size = math.prod(shape)
        known = self._arrays.get(name)
        if known is None or known.size < size or known.dtype != dtype:
            known = self._arrays[name] = aligned((size,), dtype, zeros=False)
        return known[:size].reshape(shape)
