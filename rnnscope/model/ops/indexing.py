"""Operations that pick elements, or put others in their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import EvaluationError, Operation, check_size


def slice_axes(
    x: Array, starts: Any, ends: Any, axes: Any = None, steps: Any = None
) -> Any:  # fmt: skip
    """``x[start:end:step]`` along some axes, all from the first on if they are not named.

    Places count from the end where they are negative; those beyond an axis mean its end.
    """
    first, last = np.ravel(starts), np.ravel(ends)
    along = range(len(first)) if axes is None else np.ravel(axes)
    by = np.ones(len(first), np.int64) if steps is None or not np.size(steps) else np.ravel(steps)
    index: list[slice] = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, first, last, by, strict=True):
        if step == 0:
            raise EvaluationError("a slice has steps of 0")
        size = x.shape[int(axis)]
        # An end before the start of an axis means all of it where the step is negative.
        stop = None if step < 0 and end < -size else int(end)
        index[int(axis)] = slice(int(start), stop, int(step))
    return x[tuple(index)]


def compress(x: Array, condition: Array, *, axis: int | None = None) -> Any:
    """The entries at which a condition holds; of the flat array without an axis."""
    return np.compress(np.ravel(condition), x, axis=axis)


def _place(original: Array, index: Any, updates: Array, reduction: str) -> Any:
    made = np.array(original)
    how = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
    if reduction == "none":
        made[index] = updates
    elif reduction in how:
        how[reduction].at(made, index, updates)
    else:
        raise EvaluationError(f"updates are joined by '{reduction}', which is not computed")
    return made


def place_nd(x: Array, indices: Array, updates: Array, *, reduction: str = "none") -> Any:
    """The array with updates at some tuples of indices, in the place of what is there.

    `reduction` is ``none``, or how they are joined with it: ``add``, ``mul``, ``max``, ``min``.
    """
    return _place(x, tuple(np.moveaxis(np.asarray(indices), -1, 0)), updates, reduction)


def place_elements(
    x: Array, indices: Array, updates: Array, *, axis: int = 0, reduction: str = "none"
) -> Any:
    """The array with each update at its index along an axis, elsewhere at its own place."""
    index: list[Any] = list(np.indices(indices.shape, sparse=True))
    size = x.shape[axis]
    index[axis] = np.where(indices < 0, indices + size, indices)
    return _place(x, tuple(index), updates, reduction)


def triangle(x: Array, *, diagonal: int = 0, upper: bool = True) -> Any:
    """Matrices with zeros below a diagonal, or above it."""
    return np.triu(x, diagonal) if upper else np.tril(x, diagonal)


def eye(rows: Any, columns: Any, *, diagonal: int = 0, dtype: Any = np.float32) -> Any:
    """Ones on a diagonal of a matrix of zeros."""
    check_size((int(rows), int(columns)), dtype)
    return np.eye(int(rows), int(columns), diagonal, dtype)


def depth_to_space(x: Array, *, block: int, column_first: bool = False) -> Any:
    """Channels of (batch, channel, height, width) laid out as blocks of places."""
    batch, depth, height, width = x.shape
    if column_first:
        parts, order = (batch, depth // block**2, block, block, height, width), (0, 1, 4, 2, 5, 3)
    else:
        parts, order = (batch, block, block, depth // block**2, height, width), (0, 3, 4, 1, 5, 2)
    laid = x.reshape(parts).transpose(order)
    return laid.reshape(batch, depth // block**2, height * block, width * block)


def space_to_depth(x: Array, *, block: int, column_first: bool = False) -> Any:
    """Blocks of places of (batch, channel, height, width) laid out as channels."""
    batch, depth, height, width = x.shape
    parts = x.reshape(batch, depth, height // block, block, width // block, block)
    laid = parts.transpose((0, 1, 3, 5, 2, 4) if column_first else (0, 3, 5, 1, 2, 4))
    return laid.reshape(batch, depth * block**2, height // block, width // block)


def hot_largest(x: Array, *, axis: int = -1) -> Any:
    """1 at the first largest element along an axis, 0 elsewhere."""
    where = np.expand_dims(np.argmax(x, axis=axis), axis)
    made = np.zeros_like(x)
    np.put_along_axis(made, where, 1, axis=axis)
    return made


def roll(x: Array, shifts: Sequence[int], axes: Sequence[int]) -> Any:
    """Elements moved along axes, those beyond the end to the start."""
    return np.roll(x, tuple(int(n) for n in shifts), tuple(int(axis) for axis in axes))


INDEXING: dict[str, Operation] = {
    "slice_axes": slice_axes,
    "compress": compress,
    "place_nd": place_nd,
    "place_elements": place_elements,
    "triangle": triangle,
    "eye": eye,
    "depth_to_space": depth_to_space,
    "space_to_depth": space_to_depth,
    "hot_largest": hot_largest,
    "roll": roll,
}
"""Operations that pick and place elements, by name."""
