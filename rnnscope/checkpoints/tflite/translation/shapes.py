"""Operators that move elements about, pick them, or reduce along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.tflite.lite_model import LiteTensor
from rnnscope.checkpoints.tflite.translation.site import Site, Tell
from rnnscope.checkpoints.translated.messages import NUMBERS, NotTranslated

FAR = (1 << 31) - 1
INT32, BOOL = NUMBERS[np.dtype(np.int32)], NUMBERS[np.dtype(bool)]


def _dtype(site: Site, number: int) -> np.dtype[Any]:
    """That of an input of places."""
    return _whole(site.tensor(number))


def _whole(tensor: LiteTensor) -> np.dtype[Any]:
    """The dtype of a tensor of places."""
    dtype = tensor.dtype
    if dtype is None or dtype.kind not in "iu":
        raise NotTranslated("at places that are no whole numbers")
    native: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")
    return native


def _reshape(site: Site) -> None:
    if site.has(1) and site.known(1) is None:
        site.end("Reshape", [site.x(0), site.x(1)], allowzero=1)
        return
    stated = getattr(site.options, "new_shape", None)
    stated = () if stated is None else stated
    target = site.numbers(1) if site.has(1) else [int(size) for size in stated]
    site.end("Reshape", [site.x(0)], shape=target, allowzero=1)


def _transpose(site: Site) -> None:
    site.end("Transpose", [site.x(0)], perm=site.numbers(1))


def _squeeze(site: Site) -> None:
    axes = site.options.squeeze_dims
    rank = len(site.tensor(0).shape)
    if axes is None or not len(axes):
        axes = [axis for axis, size in enumerate(site.tensor(0).shape) if size == 1]
    site.end("Squeeze", [site.x(0)], axes=[int(axis) % max(rank, 1) for axis in axes])


def _expand_dims(site: Site) -> None:
    site.end("Unsqueeze", [site.x(0)], axes=site.numbers(1))


def _pack(site: Site) -> None:
    axis = site.options.axis
    site.end("Concat", [site.add("Unsqueeze", [one], axes=[axis]) for one in site.every()],
             axis=axis)  # fmt: skip


def _unpack(site: Site) -> None:
    axis = site.options.axis
    for number in range(len(site.op.outputs)):
        index = site.build.stored("index", np.asarray(number, np.int64))
        site.build.add_node("Gather", [site.x(0), index], [site.named(number)], axis=axis)


def _split(site: Site) -> None:
    (axis,) = site.numbers(0)
    site.end("Split", [site.x(1)], outputs=len(site.op.outputs), axis=axis)


def _split_v(site: Site) -> None:
    (axis,) = site.numbers(2)
    sizes = site.numbers(1)
    if -1 in sizes:
        whole = site.tensor(0).shape[axis]
        sizes[sizes.index(-1)] = whole - sum(size for size in sizes if size >= 0)
    site.end("Split", [site.x(0)], outputs=len(site.op.outputs), axis=axis, split=sizes)


def _concatenation(site: Site) -> None:
    site.end("Concat", site.every(), axis=site.options.axis)


def _slice(site: Site) -> None:
    begin, size = site.known(1), site.known(2)
    axes = list(range(len(site.tensor(0).shape)))
    if begin is not None and size is not None:
        ends = [b + s if s >= 0 else FAR for b, s in zip(begin, size, strict=True)]
        site.end("Slice", [site.x(0)], starts=list(begin), ends=ends, axes=axes)
        return
    rest = site.number(-1, _dtype(site, 2))
    last = [
        site.add("Equal", [site.x(2), rest]),
        site.number(FAR, _dtype(site, 2)),
        site.add("Add", [site.x(1), site.x(2)]),
    ]
    site.end("Slice", [site.x(0), site.x(1), site.add("Where", last)], axes=axes)


def _strided_slice(site: Site) -> None:
    o, steps = site.options, site.numbers(3)
    if o.ellipsis_mask or o.new_axis_mask or o.offset:
        raise NotTranslated("with an ellipsis, a new axis or an offset")
    axes = list(range(len(steps)))
    shrunk = [axis for axis in axes if o.shrink_axis_mask >> axis & 1]
    begin, end = site.known(1), site.known(2)
    if begin is not None and end is not None:
        starts, ends = [], []
        for axis, step in enumerate(steps):
            first, last = int(begin[axis]), int(end[axis])
            if axis in shrunk:
                last = first + 1 if first != -1 else FAR
            elif o.begin_mask >> axis & 1:
                first = 0 if step > 0 else -1
            if axis not in shrunk and o.end_mask >> axis & 1:
                last = FAR if step > 0 else -FAR
            starts.append(first)
            ends.append(last)
        made = site.add("Slice", [site.x(0)], starts=starts, ends=ends, axes=axes, steps=steps)
    else:
        made = _moving_slice(site, shrunk, steps)
    if shrunk:
        site.end("Squeeze", [made], axes=shrunk)
    else:
        site.alias(made)


def _moving_slice(site: Site, shrunk: list[int], steps: list[int]) -> str:
    """A slice whose places are computed: as they are, or one element of each axis."""
    o, axes = site.options, list(range(len(steps)))
    ends = site.x(2)
    if shrunk:
        # Of an axis that is shrunk, the element at its begin; masks open the others.
        one = site.add("Add", [site.x(1), site.number(1, _dtype(site, 1))])
        is_shrunk = site.build.stored("shrunk axes", np.isin(axes, shrunk))
        ends = site.add("Where", [is_shrunk, one, ends])
    starts = site.x(1)
    for mask, edge in ((o.begin_mask, 0), (o.end_mask, FAR)):
        opened = [bool(mask >> axis & 1) and axis not in shrunk for axis in axes]
        if any(opened):
            where = site.build.stored("open axes", np.asarray(opened))
            far = site.number(edge, _dtype(site, 1))
            if edge:
                ends = site.add("Where", [where, far, ends])
            else:
                starts = site.add("Where", [where, far, starts])
    if min(steps) < 0:
        raise NotTranslated("backwards from where is computed")
    return site.add("Slice", [site.x(0), starts, ends], axes=axes, steps=steps)


def _gather(site: Site) -> None:
    if site.options.batch_dims:
        raise NotTranslated("with batch_dims")
    site.end("Gather", [site.x(0), site.x(1)], axis=site.options.axis)


def _embedding_lookup(site: Site) -> None:
    site.end("Gather", [site.x(1), site.x(0)], axis=0)


def _reverse(site: Site) -> None:
    axes = [axis % len(site.tensor(0).shape) for axis in site.numbers(1)]
    source = site.x(0)
    before = site.build.reversed.get(source)
    if len(axes) == 1 and before is not None and before[1] == axes[0]:
        site.alias(before[0])
        return
    far = [-FAR] * len(axes)
    site.end("Slice", [source], starts=[-1] * len(axes), ends=far, axes=axes,
             steps=[-1] * len(axes))  # fmt: skip
    if len(axes) == 1:
        site.build.reversed[site.values.names[site.op.outputs[0]]] = (source, axes[0])


def _reverse_sequence(site: Site) -> None:
    lengths = site.add("Cast", [site.x(1)], to=NUMBERS[np.dtype(np.int64)])
    site.end("ReverseSequence", [site.x(0), lengths], time_axis=site.options.seq_dim,
             batch_axis=site.options.batch_dim)  # fmt: skip


def _shape(site: Site) -> None:
    site.end("Cast", [site.add("Shape", [site.x(0)])], to=INT32)


def _fill(site: Site) -> None:
    site.end("Expand", [site.x(1), site.x(0)])


def _broadcast_to(site: Site) -> None:
    site.end("Expand", [site.x(0), site.x(1)])


def _zeros_like(site: Site) -> None:
    dtype = site.result().dtype
    if dtype is None:
        raise NotTranslated("of no numbers")
    site.end("Expand", [site.number(0, dtype), site.add("Shape", [site.x(0)])])


def _pad(site: Site) -> None:
    widths = np.asarray(site.constant(1), np.int64)
    value = [site.x(2)] if site.has(2) else []
    pads = site.build.stored("pads", np.concatenate([widths[:, 0], widths[:, 1]]))
    site.end("Pad", [site.x(0), pads, *value])


def _reduce(op: str) -> Tell:
    def tell(site: Site) -> None:
        site.end(op, [site.x(0)], axes=site.numbers(1), keepdims=int(site.options.keep_dims))

    return tell


def _reduce_truth(op: str) -> Tell:
    def tell(site: Site) -> None:
        numbers = site.add("Cast", [site.x(0)], to=INT32)
        made = site.add(op, [numbers], axes=site.numbers(1), keepdims=int(site.options.keep_dims))
        site.end("Cast", [made], to=BOOL)

    return tell


def _arg(op: str) -> Tell:
    def tell(site: Site) -> None:
        (axis,) = site.numbers(1)
        made = site.add(op, [site.x(0)], axis=axis, keepdims=0)
        site.end("Cast", [made], to=NUMBERS[_whole(site.result())])

    return tell


MOVING: dict[str, Tell] = {
    "BROADCAST_TO": _broadcast_to, "CONCATENATION": _concatenation,
    "EMBEDDING_LOOKUP": _embedding_lookup, "EXPAND_DIMS": _expand_dims, "GATHER": _gather,
    "PACK": _pack, "RESHAPE": _reshape, "REVERSE_SEQUENCE": _reverse_sequence,
    "REVERSE_V2": _reverse, "SLICE": _slice, "SPLIT": _split, "SPLIT_V": _split_v,
    "SQUEEZE": _squeeze, "STRIDED_SLICE": _strided_slice,
    "TILE": lambda site: site.end("Tile", site.every()), "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}  # fmt: skip
"""Operators that leave values as they are: what holds for whole numbers holds for what they stand
for."""

SHAPES: dict[str, Tell] = {
    **MOVING,
    "ARG_MAX": _arg("ArgMax"), "ARG_MIN": _arg("ArgMin"), "FILL": _fill,
    "MEAN": _reduce("ReduceMean"), "PAD": _pad, "PADV2": _pad,
    "RANGE": lambda site: site.end("Range", site.every()),
    "REDUCE_ALL": _reduce_truth("ReduceMin"), "REDUCE_ANY": _reduce_truth("ReduceMax"),
    "REDUCE_MAX": _reduce("ReduceMax"), "REDUCE_MIN": _reduce("ReduceMin"),
    "REDUCE_PROD": _reduce("ReduceProd"), "SHAPE": _shape, "SUM": _reduce("ReduceSum"),
    "ZEROS_LIKE": _zeros_like,
}  # fmt: skip
"""By operator."""
