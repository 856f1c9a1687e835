"""How the arrays of a zarr store are cut: shards as they are written, chunks as they are read.

A shard is one object: few of them, so that a store of objects is not asked a million times. Inside
it chunks are what is read at once: one sequence, or a few short ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from rnnscope.trace.storage import chunk_shape
from rnnscope.trace.stores.interface import NewArray

SHARD_BYTES = 32 * 2**20
"""What a shard holds at most. A shard is in memory while it is filled, one for each array."""

SMALL_BYTES = 4 * 2**20
"""An array up to this size is one object."""

PENDING_BYTES = 256 * 2**20
"""What all shards that are being filled take together, if nothing forces more."""


class Cut(NamedTuple):
    """How an array is cut.

    Attributes
    ----------
    objects : tuple of int
        What one object holds, which is what is written at once.
    chunks : tuple of int or None
        What is read at once, inside a shard; None: the object is no shard.
    """

    objects: tuple[int, ...]
    chunks: tuple[int, ...] | None


def cut(new: NewArray, slice_rows: int | None, array_count: int) -> Cut:
    """The cut of an array.

    Parameters
    ----------
    new : NewArray
        Rows of sequences, or steps of a ragged trace, are its first axis.
    slice_rows : int or None
        How many sequences are written at a time: shards end where slices do.
    array_count : int
        Of the store.
    """
    shape = tuple(max(1, size) for size in new.shape)
    most = max(2**20, min(SHARD_BYTES, PENDING_BYTES // max(1, array_count)))
    row = math.prod(shape[1:]) * new.dtype.itemsize
    if not new.over_time:
        if shape[0] * row <= SMALL_BYTES:
            return Cut(shape, None)
        return Cut((_even(shape[0], max(1, most // row), slice_rows), *shape[1:]), None)
    inner = chunk_shape((shape[0], shape[1], math.prod(shape[2:])) if len(shape) > 2 else shape,
                        new.dtype.itemsize)  # fmt: skip
    if len(shape) > 2 and (inner[1] < shape[1] or row > most):
        # One sequence is several chunks: the shard is as many of them as there is room for.
        chunk = inner[1] * math.prod(shape[2:]) * new.dtype.itemsize
        steps = min(-(-shape[1] // inner[1]), max(1, most // chunk))
        return Cut((1, steps * inner[1], *shape[2:]), (1, inner[1], *shape[2:]))
    is_flat = len(shape) == 2  # ragged, or a mask: its first axis is cut as a sequence's time is
    rows = _even(shape[0], max(1, most // row), None if is_flat else slice_rows)
    together = min(inner[0], rows)
    if is_flat:
        return Cut((-(-rows // together) * together, *shape[1:]), (together, *shape[1:]))
    together = next(count for count in range(together, 0, -1) if rows % count == 0)
    return Cut((rows, *shape[1:]), (together, *shape[1:]))


def _even(total: int, most: int, slice_rows: int | None) -> int:
    """Rows of an object: at most so many, so that a slice is a whole number of objects."""
    rows = min(total, slice_rows or total)
    if rows <= most:
        return rows
    for count in range(-(-rows // most), 2 * -(-rows // most) + 1):
        if rows % count == 0:
            return rows // count
    return -(-rows // -(-rows // most))
