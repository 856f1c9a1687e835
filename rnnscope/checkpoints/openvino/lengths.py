"""Whether the lengths that OpenVINO's recurrent layers always take are those of the whole time.

A converter that knows of no lengths writes as many as there are timesteps, for every sequence:
a constant, or the size of an axis of x, broadcast.
"""

from __future__ import annotations

from rnnscope.checkpoints.openvino.interface import IrScope, NotTranslated
from rnnscope.checkpoints.openvino.ir_graph import IrLayer

TIME = 1
"""The axis of timesteps in X of every recurrent layer."""

KEEP_NUMBER = ("Broadcast", "Convert", "Reshape", "Squeeze", "Unsqueeze", "Tile")
"""Layers that repeat, or reshape, one number."""

MAX_CHAIN = 64


def is_whole_time(scope: IrScope, layer: IrLayer, place: int) -> bool:
    """Whether the lengths, input `place` of a recurrent layer, are its number of timesteps."""
    maker = scope.maker(layer, place)
    for _ in range(MAX_CHAIN):
        if maker is None or maker.type not in KEEP_NUMBER:
            break
        maker = scope.maker(maker, 0)
    if maker is None:
        return False
    if maker.type == "Const":
        steps = layer.inputs[0].dims[TIME] if len(layer.inputs[0].dims) > TIME else -1
        try:
            return steps > 0 and set(scope.constant(maker)) == {steps}
        except NotTranslated:
            return False
    return maker.type == "Gather" and _is_size_of_time(scope, layer, maker)


def _is_size_of_time(scope: IrScope, layer: IrLayer, gather: IrLayer) -> bool:
    """Whether a Gather picks the size of X's axis of timesteps out of a shape."""
    shape = scope.maker(gather, 0)
    while shape is not None and shape.type == "Convert":
        shape = scope.maker(shape, 0)
    if shape is None or shape.type != "ShapeOf":
        return False
    try:
        (picked,) = scope.ints(gather, 1)
        wanted = scope.graph.sources.get((shape.id, shape.inputs[0].number))
        at = scope.graph.sources.get((layer.id, layer.inputs[0].number))
        axis = TIME
        for _ in range(MAX_CHAIN):
            rank = len(_dims(scope, at))
            if at == wanted and at is not None:
                return picked % rank == axis if rank else False
            before = scope.by_id[at[0]] if at is not None else None
            if before is None or before.type not in ("Transpose", "Convert"):
                return False
            if before.type == "Transpose":
                axis = scope.ints(before, 1)[axis]
            at = scope.graph.sources.get((before.id, before.inputs[0].number))
    except (NotTranslated, ValueError, IndexError):
        return False
    return False


def _dims(scope: IrScope, at: tuple[int, int] | None) -> tuple[int, ...]:
    if at is None:
        return ()
    ports = scope.by_id[at[0]].outputs
    return next((port.dims for port in ports if port.number == at[1]), ())
