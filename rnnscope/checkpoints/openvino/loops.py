"""OpenVINO's TensorIterator and Loop as ONNX's Scan and Loop.

Where the body is one recurrent cell and nothing else, it is written as that layer over time.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnnscope.checkpoints.openvino.interface import IrScope, Operator
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.openvino.loop_bodies import write_loop, write_scan
from rnnscope.checkpoints.openvino.ports import (
    ITERATION,
    TO_CONDITION,
    LoopBody,
    read_body,
    step_axis,
)
from rnnscope.checkpoints.openvino.single_cell import write_single_cell
from rnnscope.checkpoints.translated.messages import NotTranslated


def _tensor_iterator(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    body = read_body(layer)
    single = write_single_cell(scope, layer, body, inputs)
    if single is not None:
        return single
    return write_scan(scope, layer, body, inputs)


def _loop(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    """A Loop that goes on for as many turns as what it reads has steps is a TensorIterator."""
    body = read_body(layer)
    try:
        _require_every_step(scope, layer, body)
    except NotTranslated:
        return write_loop(scope, layer, body, inputs)
    single = write_single_cell(scope, layer, body, inputs)
    return write_scan(scope, layer, body, inputs) if single is None else single


def _require_every_step(scope: IrScope, layer: IrLayer, body: LoopBody) -> None:
    """Refuse a Loop that may end before its last step, or has no steps to read.

    Raises
    ------
    NotTranslated
    """
    if any(one.purpose == ITERATION for one in body.inputs):
        raise NotTranslated("counts its turns")
    cut = [one for one in body.inputs if one.axis is not None]
    if not cut:
        raise NotTranslated("reads nothing step by step")
    begins = scope.maker(layer, 1)
    if begins is None or begins.type != "Const" or not all(scope.constant(begins)):
        raise NotTranslated("may take no turn at all")
    for one in body.outputs:
        if one.purpose == TO_CONDITION:
            made = body.made_by(one.inner)
            ends = next((own for own in body.graph.layers if made and own.id == made[0]), None)
            inside = scope.body(body.graph)
            if ends is None or ends.type != "Const" or not all(inside.constant(ends)):
                raise NotTranslated("ends when a condition says so")
    turns = scope.maker(layer, 0)
    steps = {layer.inputs[one.place].dims[step_axis(one)] for one in cut if one.place >= 0}
    if turns is None or turns.type != "Const" or len(steps) != 1:
        raise NotTranslated("takes a number of turns that is not constant")
    (count,) = scope.constant(turns)
    if count != -1 and {count} != steps:
        raise NotTranslated(f"takes {count} turns, where there are {steps} steps")


LOOPS: dict[str, Operator] = {"TensorIterator": _tensor_iterator, "Loop": _loop}
"""By type."""
