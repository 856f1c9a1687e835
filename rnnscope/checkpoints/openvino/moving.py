"""OpenVINO's layers that move elements about or pick them, in ONNX's operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnscope.checkpoints.openvino.interface import ELEMENT_TYPES, IrScope, Operator
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.translated.messages import NotTranslated


def _as_int64(scope: IrScope, key: str, layer: IrLayer) -> str:
    """Whole numbers as ONNX takes them, on one axis."""
    wide = scope.made.one("Cast", [key], f"{layer.name}/numbers", to=7)
    return scope.made.one("Reshape", [wide, scope.made.ints([-1])], f"{layer.name}/numbers")


def _reshape(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    target = _as_int64(scope, inputs[1], layer)
    if scope.maker(layer, 1) is not None and scope.maker(layer, 1).type == "Const":  # type: ignore[union-attr]
        # Stated as it is, so that the walk over the graph sees what it does.
        target = scope.made.ints(scope.ints(layer, 1))
    zero = int(not layer.true("special_zero"))
    return [scope.made.one("Reshape", [inputs[0], target], layer.name, allowzero=zero or None)]


def _along(op: str) -> Operator:
    def write(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
        axes = []
        if len(inputs) > 1 and inputs[1]:
            axes = [scope.made.ints(scope.ints(layer, 1))]
        return [scope.made.one(op, [inputs[0], *axes], layer.name)]

    return write


def _transpose(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    perm = scope.ints(layer, 1)
    return [scope.made.one("Transpose", inputs[:1], layer.name, perm=perm or None)]


def _concat(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    return [scope.made.one("Concat", inputs, layer.name, axis=layer.integer("axis"))]


def _split(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    (axis,) = scope.ints(layer, 1)
    count = layer.integer("num_splits", len(layer.outputs))
    return scope.made.node("Split", inputs[:1], layer.name, count, axis=axis, num_outputs=count)


def _variadic_split(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    (axis,) = scope.ints(layer, 1)
    sizes = scope.ints(layer, 2)
    if -1 in sizes:
        whole = layer.inputs[0].dims[axis] if layer.inputs[0].dims else -1
        if whole < 0:
            raise NotTranslated("splits an axis whose size is open")
        sizes[sizes.index(-1)] = whole - sum(size for size in sizes if size >= 0)
    return scope.made.node(
        "Split", [inputs[0], scope.made.ints(sizes)], layer.name, len(sizes), axis=axis
    )


def _gather(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    (axis,) = scope.ints(layer, 2)
    if layer.integer("batch_dims"):
        raise NotTranslated("picks other entries for every sequence")
    return [scope.made.one("Gather", inputs[:2], layer.name, axis=axis)]


def _gather_nd(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    batch = layer.integer("batch_dims")
    return [scope.made.one("GatherND", inputs, layer.name, batch_dims=batch)]


def _gather_elements(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    return [scope.made.one("GatherElements", inputs, layer.name, axis=layer.integer("axis"))]


def _shape_of(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    shape = scope.made.one("Shape", inputs, layer.name)
    wanted = layer.data.get("output_type", "i64")
    if wanted == "i64":
        return [shape]
    return [scope.made.one("Cast", [shape], f"{layer.name}/{wanted}", to=ELEMENT_TYPES[wanted])]


def _broadcast(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    mode = layer.data.get("mode", "numpy").lower()
    if mode not in ("numpy", "bidirectional"):
        raise NotTranslated(f"broadcasts by the rule '{mode}'")
    target = _as_int64(scope, inputs[1], layer)
    return [scope.made.one("Expand", [inputs[0], target], layer.name)]


def _tile(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    repeats = _as_int64(scope, inputs[1], layer)
    return [scope.made.one("Tile", [inputs[0], repeats], layer.name)]


def _slice(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    start, stop, step, *axes = (_as_int64(scope, key, layer) for key in inputs[1:])
    if not axes:
        axes = [scope.made.ints(range(len(layer.inputs[0].dims)))]
    return [scope.made.one("Slice", [inputs[0], start, stop, *axes, step], layer.name)]


END = 2**31 - 1


def _strided_slice(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    """A slice whose masks say which bounds do not count, and which axes are new or go."""
    starts, stops = scope.ints(layer, 1), scope.ints(layer, 2)
    steps = scope.ints(layer, 3) if len(inputs) > 3 else [1] * len(starts)
    masks = {
        key: [*layer.ints(f"{key}_mask"), *[0] * len(starts)][: len(starts)]
        for key in ("begin", "end", "new_axis", "shrink_axis", "ellipsis")
    }
    if any(masks["ellipsis"]):
        raise NotTranslated("slices axes behind an ellipsis")
    made, name, key = scope.made, layer.name, inputs[0]
    axis = 0
    bounds: list[tuple[int, int, int, int]] = []
    gone: list[int] = []
    inserted: list[int] = []
    for place, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        if masks["new_axis"][place]:
            inserted.append(place)
            continue
        if masks["shrink_axis"][place]:
            bounds.append((axis, start, start + 1 if start != -1 else END, 1))
            gone.append(axis)
        else:
            first = (0 if step > 0 else END) if masks["begin"][place] else start
            last = (END if step > 0 else -END) if masks["end"][place] else stop
            bounds.append((axis, first, last, step))
        axis += 1
    if bounds:
        parts = [made.ints([one[number] for one in bounds]) for number in (1, 2, 0, 3)]
        key = made.one("Slice", [key, *parts], f"{name}/slice")
    if inserted and gone:
        raise NotTranslated("inserts and drops axes at once")
    if gone:
        key = made.one("Squeeze", [key, made.ints(gone)], f"{name}/squeeze")
    if inserted:
        key = made.one("Unsqueeze", [key, made.ints(inserted)], f"{name}/unsqueeze")
    return [made.one("Identity", [key], name)]


def _pad(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    mode = layer.data.get("pad_mode", "constant").lower()
    known = {"constant": "constant", "edge": "edge", "reflect": "reflect"}
    if mode not in known:
        raise NotTranslated(f"pads by the rule '{mode}'")
    before, behind = (_as_int64(scope, key, layer) for key in inputs[1:3])
    widths = scope.made.one("Concat", [before, behind], f"{layer.name}/widths", axis=0)
    fill = inputs[3:4] if mode == "constant" else []
    return [scope.made.one("Pad", [inputs[0], widths, *fill], layer.name, mode=known[mode])]


def _range(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    wanted = ELEMENT_TYPES.get(layer.data.get("output_type", ""), 7)
    cast = [scope.made.one("Cast", [key], f"{layer.name}/bound", to=wanted) for key in inputs]
    flat = [
        scope.made.one("Reshape", [key, scope.made.stored("scalar", np.zeros(0, np.int64))],
                       f"{layer.name}/bound")
        for key in cast
    ]  # fmt: skip
    return [scope.made.one("Range", flat, layer.name)]


def _reverse_sequence(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    lengths = scope.made.one("Cast", [inputs[1]], f"{layer.name}/lengths", to=7)
    return [
        scope.made.one(
            "ReverseSequence", [inputs[0], lengths], layer.name,
            batch_axis=layer.integer("batch_axis"), time_axis=layer.integer("seq_axis", 1),
        )
    ]  # fmt: skip


def _cum_sum(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    return [
        scope.made.one(
            "CumSum", inputs, layer.name,
            exclusive=int(layer.true("exclusive")), reverse=int(layer.true("reverse")),
        )
    ]  # fmt: skip


def _scatter_update(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    """Rows of the first axis put in the place of others."""
    data, indices, updates = inputs[:3]
    if scope.ints(layer, 3) != [0]:
        raise NotTranslated("puts values elsewhere than along the first axis")
    wide = scope.made.one("Cast", [indices], f"{layer.name}/rows", to=7)
    rows = scope.made.one("Unsqueeze", [wide, scope.made.ints([-1])], f"{layer.name}/rows")
    return [scope.made.one("ScatterND", [data, rows, updates], layer.name)]


MOVING: dict[str, Operator] = {
    "Reshape": _reshape,
    "Squeeze": _along("Squeeze"),
    "Unsqueeze": _along("Unsqueeze"),
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "VariadicSplit": _variadic_split,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "GatherElements": _gather_elements,
    "ShapeOf": _shape_of,
    "Broadcast": _broadcast,
    "Tile": _tile,
    "Slice": _slice,
    "StridedSlice": _strided_slice,
    "Pad": _pad,
    "Range": _range,
    "ReverseSequence": _reverse_sequence,
    "CumSum": _cum_sum,
    "ScatterUpdate": _scatter_update,
}
"""By type."""
