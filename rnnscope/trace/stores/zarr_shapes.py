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


def cut(new: NewArray, array_count: int) -> Cut:
    """The cut of an array: it follows from sizes alone, so that a run cut otherwise ends the same.

    Parameters
    ----------
    new : NewArray
        Rows of sequences, or steps of a ragged trace, are its first axis.
    array_count : int
        Of the store's arrays over time.
    """
    shape = tuple(max(1, size) for size in new.shape)
    most = max(2**20, min(SHARD_BYTES, PENDING_BYTES // max(1, array_count)))
    row = math.prod(shape[1:]) * new.dtype.itemsize
    rows = _even(shape[0], max(1, most // row))
    if not new.over_time:
        return Cut(shape if shape[0] * row <= SMALL_BYTES else (rows, *shape[1:]), None)
    if len(shape) == 2:  # ragged, or a mask
        together = min(chunk_shape(shape, new.dtype.itemsize)[0], rows)
        return Cut((-(-rows // together) * together, shape[1]), (together, shape[1]))
    inner = chunk_shape(shape, new.dtype.itemsize)
    if inner[1] < shape[1]:
        # One sequence is several chunks: a shard is as many of them as there is room for.
        steps = min(-(-shape[1] // inner[1]), max(1, most // (row // shape[1] * inner[1])))
        return Cut((1, steps * inner[1], shape[2]), (1, inner[1], shape[2]))
    together = next(count for count in range(min(inner[0], rows), 0, -1) if rows % count == 0)
    return Cut((rows, *shape[1:]), (together, *shape[1:]))


def _even(total: int, most: int) -> int:
    """Rows of an object: at most so many, the last object about as full as the others."""
    return -(-total // -(-total // most))
