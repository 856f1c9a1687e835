"""Operations of an ML program that move elements about or pick them, in ONNX's operators."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rnnscope.checkpoints.coreml.program.interface import Operator, ProgramScope, name_of
from rnnscope.checkpoints.translated.messages import NotTranslated

END = 2**31 - 1


def _transpose(scope: ProgramScope, op: Any) -> Sequence[str]:
    perm = scope.ints(op, "perm")
    rank = len(perm or ())
    turned = [one % rank for one in perm or ()]
    return [scope.made.one("Transpose", [scope.key(op, "x")], name_of(op), perm=turned)]


def _reshape(scope: ProgramScope, op: Any) -> Sequence[str]:
    shape = scope.made.one("Cast", [scope.key(op, "shape")], f"{name_of(op)}/shape", to=7)
    with suppress(NotTranslated):  # a shape that is computed
        shape = scope.made.ints(scope.ints(op, "shape") or [])
    return [scope.made.one("Reshape", [scope.key(op, "x"), shape], name_of(op))]


def _axes(kind: str) -> Operator:
    def write(scope: ProgramScope, op: Any) -> Sequence[str]:
        axes = scope.ints(op, "axes")
        keys = [scope.key(op, "x")] + ([] if axes is None else [scope.made.ints(axes)])
        return [scope.made.one(kind, keys, name_of(op))]

    return write


def _concat(scope: ProgramScope, op: Any) -> Sequence[str]:
    if scope.true(op, "interleave"):
        raise NotTranslated("interleaves what it joins")
    axis = int(scope.number(op, "axis", 0))
    return [scope.made.one("Concat", scope.keys(op, "values"), name_of(op), axis=axis)]


def _stack(scope: ProgramScope, op: Any) -> Sequence[str]:
    axis = int(scope.number(op, "axis", 0))
    where = scope.made.ints([axis])
    parts = [
        scope.made.one("Unsqueeze", [key, where], f"{name_of(op)}/part")
        for key in scope.keys(op, "values")
    ]
    return [scope.made.one("Concat", parts, name_of(op), axis=axis)]


def _split(scope: ProgramScope, op: Any) -> Sequence[str]:
    axis, sizes = int(scope.number(op, "axis", 0)), scope.ints(op, "split_sizes")
    keys = [scope.key(op, "x")] + ([] if sizes is None else [scope.made.ints(sizes)])
    count = len(op.outputs)
    return scope.made.node(
        "Split", keys, name_of(op), count, axis=axis, num_outputs=None if sizes else count
    )


def _slice_by_index(scope: ProgramScope, op: Any) -> Sequence[str]:
    begins, ends = scope.ints(op, "begin") or [], scope.ints(op, "end") or []
    count = len(begins)
    steps = scope.ints(op, "stride") or [1] * count
    masks = {
        role: scope.ints(op, f"{role}_mask") or [0] * count for role in ("begin", "end", "squeeze")
    }
    bounds = []
    for axis in range(count):
        begin, end, step = begins[axis], ends[axis], steps[axis]
        if masks["squeeze"][axis]:
            end, step = begin + 1 if begin != -1 else END, 1
        else:
            if masks["begin"][axis]:
                begin = 0 if step > 0 else END
            if masks["end"][axis]:
                end = END if step > 0 else -END
        bounds.append((begin, end, axis, step))
    made, name = scope.made, name_of(op)
    parts = [made.ints([one[number] for one in bounds]) for number in range(4)]
    gone = [axis for axis in range(count) if masks["squeeze"][axis]]
    sliced = made.one("Slice", [scope.key(op, "x"), *parts], f"{name}/slice" if gone else name)
    return [made.one("Squeeze", [sliced, made.ints(gone)], name) if gone else sliced]


def _gather(scope: ProgramScope, op: Any) -> Sequence[str]:
    if scope.number(op, "batch_dims", 0):
        raise NotTranslated("picks other entries for every sequence")
    axis = int(scope.number(op, "axis", 0))
    keys = [scope.key(op, "x"), scope.key(op, "indices")]
    return [scope.made.one("Gather", keys, name_of(op), axis=axis)]


def _shape(scope: ProgramScope, op: Any) -> Sequence[str]:
    shape = scope.made.one("Shape", [scope.key(op, "x")], f"{name_of(op)}/wide")
    return [scope.made.one("Cast", [shape], name_of(op), to=6)]


def _tile(scope: ProgramScope, op: Any) -> Sequence[str]:
    counts = scope.made.one("Cast", [scope.key(op, "reps")], f"{name_of(op)}/counts", to=7)
    return [scope.made.one("Tile", [scope.key(op, "x"), counts], name_of(op))]


def _fill(scope: ProgramScope, op: Any) -> Sequence[str]:
    shape = scope.made.one("Cast", [scope.key(op, "shape")], f"{name_of(op)}/shape", to=7)
    return [scope.made.one("Expand", [scope.key(op, "value"), shape], name_of(op))]


def _reverse(scope: ProgramScope, op: Any) -> Sequence[str]:
    axes = scope.ints(op, "axes")
    if axes is None:
        axes = list(range(scope.rank(op, "x")))
    parts = [[-1] * len(axes), [-END] * len(axes), axes, [-1] * len(axes)]
    keys = [scope.key(op, "x"), *(scope.made.ints(part) for part in parts)]
    return [scope.made.one("Slice", keys, name_of(op))]


MOVING: dict[str, Operator] = {
    "transpose": _transpose,
    "reshape": _reshape,
    "squeeze": _axes("Squeeze"),
    "expand_dims": _axes("Unsqueeze"),
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "slice_by_index": _slice_by_index,
    "gather": _gather,
    "shape": _shape,
    "tile": _tile,
    "fill": _fill,
    "reverse": _reverse,
}
"""By type."""
