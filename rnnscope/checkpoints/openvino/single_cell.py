"""A TensorIterator whose body is one recurrent cell: the same as that layer over time."""

from __future__ import annotations

from collections.abc import Sequence

from rnnscope.checkpoints.openvino.interface import IrScope
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.openvino.kinds import KINDS
from rnnscope.checkpoints.openvino.ports import Handed, LoopBody
from rnnscope.checkpoints.openvino.recurrent import write_over_time
from rnnscope.checkpoints.translated.messages import NotTranslated

BESIDE = ("Const", "Convert", "Parameter", "Result", "Reshape", "Squeeze", "Unsqueeze")
"""What may stand beside the cell: constants, and what drops or inserts the axis of time."""


def write_single_cell(
    scope: IrScope, layer: IrLayer, body: LoopBody, inputs: list[str]
) -> Sequence[str] | None:
    """Write a loop over one cell; None if the body is anything else."""
    cells = [one for one in body.graph.layers if one.type not in BESIDE]
    kinds = {f"{name}Cell": kind for name, kind in KINDS.items()}
    if len(cells) != 1 or cells[0].type not in kinds:
        return None
    cell, kind = cells[0], kinds[cells[0].type]
    inside = scope.body(body.graph)
    cut = [one for one in body.inputs if one.axis is not None]
    if len(cut) != 1 or len(cell.inputs) != 4 + kind.states:
        return None
    (x,) = cut
    rank = len(layer.inputs[x.place].dims)
    if rank != 3 or x.axis not in (0, 1) or _origin(inside, cell, 0) != x.inner:
        return None
    starts = [_start(inside, body, cell, 1 + number) for number in range(kind.states)]
    ends = [(cell.id, port.number) for port in cell.outputs[: kind.states]]
    if None in starts or not _hands_back(inside, body, starts, ends):
        return None
    try:
        weights = [_constant(scope, inside, body, cell, 1 + kind.states + n, inputs)
                   for n in range(3)]  # fmt: skip
    except NotTranslated:
        return None
    returned = [_returned(inside, body, one, ends) for one in body.outputs if one.place >= 0]
    if None in returned:
        return None
    outputs = [one for one in body.outputs if one.place >= 0]
    if any(one.axis not in (None, x.axis) or (one.backward != x.backward and one.axis is not None)
           for one in outputs):  # fmt: skip
        return None
    given = [inputs[one.place] for one in starts if one is not None]
    y, *finals = write_over_time(
        scope, layer.name, kind, cell, inputs[x.place], weights, given,
        time_first=x.axis == 0, backward=x.backward, title=f"OpenVINO {layer.type} of {cell.type}",
    )  # fmt: skip
    made = [""] * len(layer.outputs)
    for one, number in zip(outputs, returned, strict=True):
        if one.axis is not None and number != 0:
            return None  # c of every step, which no layer over time returns
        made[one.place] = y if one.axis is not None else finals[number or 0]
    return made


def _past(inside: IrScope, at: tuple[int, int] | None) -> tuple[int, int] | None:
    """What a chain of layers that only change the shape begins with."""
    while at is not None and inside.by_id[at[0]].type in ("Reshape", "Squeeze", "Unsqueeze"):
        layer = inside.by_id[at[0]]
        at = inside.graph.sources.get((layer.id, layer.inputs[0].number))
    return at


def _origin(inside: IrScope, layer: IrLayer, place: int) -> int:
    """The id of the layer that an input comes from, -1 if none."""
    at = inside.graph.sources.get((layer.id, layer.inputs[place].number))
    found = _past(inside, at)
    return -1 if found is None else found[0]


def _start(inside: IrScope, body: LoopBody, cell: IrLayer, place: int) -> Handed | None:
    """What hands the cell its state before the first step."""
    own = _origin(inside, cell, place)
    return next(
        (one for one in body.inputs if one.inner == own and own in body.back and one.place >= 0),
        None,
    )


def _hands_back(
    inside: IrScope,
    body: LoopBody,
    starts: Sequence[Handed | None],
    ends: Sequence[tuple[int, int]],
) -> bool:
    """Whether every state is what the cell made in the turn before, and nothing else is kept."""
    if len(body.back) != len(starts):
        return False
    return all(
        start is not None and _past(inside, body.made_by(body.back[start.inner])) == end
        for start, end in zip(starts, ends, strict=True)
    )


def _returned(
    inside: IrScope, body: LoopBody, one: Handed, ends: Sequence[tuple[int, int]]
) -> int | None:
    """Which state of the cell a loop returns."""
    made = _past(inside, body.made_by(one.inner))
    return ends.index(made) if made in ends else None


def _constant(
    scope: IrScope,
    inside: IrScope,
    body: LoopBody,
    cell: IrLayer,
    place: int,
    inputs: list[str],
) -> str:
    """The key, outside of the body, of a weight: a constant of the body, or handed to it whole."""
    maker = inside.maker(cell, place)
    chain = []
    while maker is not None and maker.type == "Convert":
        chain.append(maker)
        maker = inside.maker(maker, 0)
    if maker is None:
        raise NotTranslated("has no weights")
    if maker.type == "Parameter":
        handed = next((one for one in body.inputs if one.inner == maker.id), None)
        if handed is None or handed.place < 0 or handed.axis is not None or chain:
            raise NotTranslated("changes its weights from step to step")
        return inputs[handed.place]
    if maker.type != "Const":
        raise NotTranslated("computes its weights")
    (key,) = scope.operators["Const"](scope, maker, [])
    for convert in reversed(chain):
        (key,) = scope.operators["Convert"](scope, convert, [key])
    return key
