"""Operations that move elements about, or make arrays of constants; no value is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import EvaluationError, Operation, broadcast_size, check_size


def reshape(x: Array, shape: Array) -> Any:
    """The elements in another shape; one size may be -1."""
    return np.reshape(x, tuple(int(size) for size in np.ravel(shape)))


def transpose(x: Array, order: Any = None) -> Any:
    """The axes in another order; the reverse one if none is given."""
    return np.transpose(x, None if order is None else tuple(int(axis) for axis in np.ravel(order)))


def expand_dims(x: Array, axis: Any) -> Any:
    """New axes of size 1 at these places of the result."""
    return np.expand_dims(x, tuple(int(one) for one in np.ravel(axis)))


def squeeze(x: Array, axes: Any = None) -> Any:
    """Without axes of size 1: these, or all."""
    return np.squeeze(
        x, None if axes is None or not np.size(axes) else tuple(int(one) for one in np.ravel(axes))
    )


def concat(*arrays: Array, axis: int) -> Any:
    """Arrays one after another along an axis."""
    total = sum(array.size for array in arrays)
    check_size((total,), np.result_type(*arrays))
    return np.concatenate(arrays, axis=axis)


def stack(*arrays: Array, axis: int = 0) -> Any:
    """Arrays side by side along a new axis."""
    check_size((sum(array.size for array in arrays),), np.result_type(*arrays))
    return np.stack(arrays, axis=axis)


def unstack(x: Array, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts along an axis, without it."""
    return tuple(np.moveaxis(x, axis, 0))


def split(x: Array, *, count: int, axis: int) -> tuple[Array, ...]:
    """Equal parts along an axis."""
    if count < 1 or x.shape[axis] % count:
        raise EvaluationError(f"{x.shape[axis]} elements do not split into {count} equal parts")
    return tuple(np.split(x, count, axis=axis))


def split_sizes(x: Array, *, sizes: Sequence[int], axis: int) -> tuple[Array, ...]:
    """Parts of these sizes along an axis; one may be -1, for what is left."""
    whole = [int(size) for size in sizes]
    left = x.shape[axis] - sum(size for size in whole if size >= 0)
    whole = [left if size < 0 else size for size in whole]
    if sum(whole) != x.shape[axis]:
        raise EvaluationError(f"{x.shape[axis]} elements do not split into parts of {whole}")
    return tuple(np.split(x, np.cumsum(whole)[:-1], axis=axis))


def slice_from(x: Array, begin: Array, size: Array) -> Any:
    """`size` elements from `begin` on, along each axis; -1 is all that are left."""
    pairs = zip(np.ravel(begin), np.ravel(size), strict=True)
    index = [slice(int(at), None if n < 0 else int(at) + int(n)) for at, n in pairs]
    return x[tuple(index)]


def gather(x: Array, indices: Array, *, axis: int = 0, batch: int = 0) -> Any:
    """The entries at some indices of an axis; `batch` leading axes go together."""
    where = np.asarray(indices)
    size = x.shape[axis]
    if np.any((where < -size) | (where >= size)):
        raise EvaluationError(f"an index lies outside of the {size} entries it picks from")
    if batch == 0:
        check_size((*x.shape[:axis], *where.shape, *x.shape[axis % x.ndim + 1 :]), x.dtype)
        return np.take(x, where, axis=axis)
    parts = zip(x, where, strict=True)
    return np.stack([gather(one, at, axis=axis - 1, batch=batch - 1) for one, at in parts])


def gather_nd(x: Array, indices: Array, *, batch: int = 0) -> Any:
    """The entries at some tuples of indices."""
    if batch:
        parts = zip(x, indices, strict=True)
        return np.stack([gather_nd(one, at, batch=batch - 1) for one, at in parts])
    return x[tuple(np.moveaxis(np.asarray(indices), -1, 0))]


def gather_elements(x: Array, indices: Array, *, axis: int = 0) -> Any:
    """At each place of `indices`, the element with that index along an axis."""
    where = np.asarray(indices)
    if where.ndim == x.ndim:  # on the other axes they are broadcast against each other
        places = np.broadcast_shapes(np.take(x, [], axis).shape, np.take(where, [], axis).shape)
        sizes = [*places]
        sizes[axis] = where.shape[axis]
        check_size(sizes, x.dtype)
    return np.take_along_axis(x, where, axis=axis)


def scatter_nd(indices: Array, updates: Array, shape: Array) -> Any:
    """Zeros with updates added at some tuples of indices."""
    result = np.zeros(check_size(np.ravel(shape), updates.dtype), updates.dtype)
    np.add.at(result, tuple(np.moveaxis(np.asarray(indices), -1, 0)), updates)
    return result


def pad(x: Array, widths: Array, *, value: Any = 0, mode: str = "constant") -> Any:
    """More elements before and after along each axis: `widths` is (axis, 2).

    `mode` is ``constant``, ``reflect``, ``symmetric`` or ``edge``.
    """
    pairs = [(int(low), int(high)) for low, high in np.reshape(widths, (-1, 2))]
    inner = x[tuple(slice(max(0, -low), n - max(0, -high))
                    for (low, high), n in zip(pairs, x.shape, strict=True))]  # fmt: skip
    grown = [(max(0, low), max(0, high)) for low, high in pairs]
    check_size((n + sum(pair) for n, pair in zip(inner.shape, grown, strict=True)), x.dtype)
    if mode == "constant":
        return np.pad(inner, grown, constant_values=np.asarray(value, x.dtype))
    how: Any = mode
    return np.pad(inner, grown, mode=how)


def tile(x: Array, counts: Array) -> Any:
    """The array repeated along each axis."""
    times = [int(count) for count in np.ravel(counts)]
    check_size((n * k for n, k in zip(np.shape(x), times, strict=True)), x.dtype)
    return np.tile(x, times)


def broadcast_to(x: Array, shape: Array) -> Any:
    """The array in a shape that its own broadcasts to."""
    return np.broadcast_to(x, check_size(np.ravel(shape), x.dtype))


def expand(x: Array, shape: Array) -> Any:
    """The array broadcast with a shape, either of which may have the axes of size 1."""
    both = np.broadcast_shapes(np.shape(x), tuple(int(size) for size in np.ravel(shape)))
    return np.broadcast_to(x, check_size(both, x.dtype))


def reverse(x: Array, axes: Any) -> Any:
    """Turned round along some axes."""
    return np.flip(x, tuple(int(axis) for axis in np.ravel(axes)))


def reverse_sequence(x: Array, lengths: Array, *, time_axis: int, batch_axis: int = 0) -> Any:
    """The first steps of each sequence turned round, as many as its length; the rest stays."""
    moved = np.moveaxis(x, (batch_axis, time_axis), (0, 1)).copy()
    if np.shape(np.ravel(lengths)) != moved.shape[:1]:
        raise EvaluationError(f"{np.size(lengths)} lengths do not fit {len(moved)} sequences")
    for row, length in enumerate(np.ravel(lengths)):
        moved[row, : int(length)] = moved[row, : int(length)][::-1]
    return np.moveaxis(moved, (0, 1), (batch_axis, time_axis))


def fill(shape: Array, value: Array) -> Any:
    """One value in a shape."""
    value = np.asarray(value)
    return np.full(check_size(np.ravel(shape), value.dtype), value, value.dtype)


def arange(start: Array, stop: Array, step: Array) -> Any:
    """Numbers from `start` to `stop`, which is left out."""
    if not np.ravel(step)[0]:
        raise EvaluationError("a range has steps of 0")
    dtype = np.result_type(start, stop, step)
    first, last, by = (np.ravel(one)[0].item() for one in (start, stop, step))
    check_size((max(0, int(np.ceil((last - first) / by))),), dtype)
    return np.arange(first, last, by, dtype=dtype)


def one_hot(indices: Array, depth: Any, on: Any = 1.0, off: Any = 0.0, *, axis: int = -1) -> Any:
    """`on` at each index of a new axis of size `depth`, `off` elsewhere."""
    size = int(np.ravel(depth)[0])
    where = np.asarray(indices)
    check_size((*where.shape, size), np.asarray(on).dtype)
    hot = where[..., None] == np.arange(size)
    broadcast_size(hot, on, off)
    return np.moveaxis(np.where(hot, on, off).astype(np.asarray(on).dtype), -1, axis)


def nonzero(x: Array) -> Any:
    """The places of what is not zero, (place, axis)."""
    return np.argwhere(x).astype(np.int64)


def band_part(x: Array, lower: Any, upper: Any) -> Any:
    """A matrix with zeros outside of some diagonals; a negative number keeps all on its side."""
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    low, high = int(lower), int(upper)
    kept = ((low < 0) | (rows - columns <= low)) & ((high < 0) | (columns - rows <= high))
    return np.where(kept, x, np.zeros((), x.dtype))


SHAPES: dict[str, Operation] = {
    "reshape": reshape,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "concat": concat,
    "stack": stack,
    "unstack": unstack,
    "split": split,
    "split_sizes": split_sizes,
    "slice_from": slice_from,
    "gather": gather,
    "gather_nd": gather_nd,
    "gather_elements": gather_elements,
    "scatter_nd": scatter_nd,
    "pad": pad,
    "tile": tile,
    "broadcast_to": broadcast_to,
    "expand": expand,
    "reverse": reverse,
    "reverse_sequence": reverse_sequence,
    "fill": fill,
    "arange": arange,
    "one_hot": one_hot,
    "nonzero": nonzero,
    "band_part": band_part,
    "shape": lambda x, *, dtype=np.int64: np.array(np.shape(x), dtype),
    "size": lambda x, *, dtype=np.int64: np.array(np.size(x), dtype),
    "rank": lambda x: np.array(np.ndim(x), np.int32),
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
}
"""Operations on the places of elements, by name."""
