"""OpenVINO's TensorIterator and Loop as ONNX's Scan and Loop.

Where the body is one recurrent cell and nothing else, it is written as that layer over time.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnnscope.checkpoints.openvino.interface import IrScope, NotTranslated, Operator
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.openvino.ports import Handed, LoopBody, read_body
from rnnscope.checkpoints.openvino.single_cell import write_single_cell
from rnnscope.checkpoints.translated.reading import SourceOperator

TO_CONDITION = "execution_condition"
ITERATION = "current_iteration"


def _tensor_iterator(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    body = read_body(layer)
    single = write_single_cell(scope, layer, body, inputs)
    if single is not None:
        return single
    return _as_scan(scope, layer, body, inputs)


def _loop(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    """A Loop that goes on for as many turns as what it reads has steps is a TensorIterator."""
    body = read_body(layer)
    _require_every_step(scope, layer, body)
    single = write_single_cell(scope, layer, body, inputs)
    if single is not None:
        return single
    return _as_scan(scope, layer, body, inputs)


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
    steps = {layer.inputs[one.place].dims[one.axis or 0] for one in cut if one.place >= 0}
    if turns is None or turns.type != "Const" or len(steps) != 1:
        raise NotTranslated("takes a number of turns that is not constant")
    (count,) = scope.constant(turns)
    if count != -1 and {count} != steps:
        raise NotTranslated(f"takes {count} turns, where there are {steps} steps")


def _as_scan(
    scope: IrScope, layer: IrLayer, body: LoopBody, inputs: list[str]
) -> Sequence[str]:
    inside = scope.body(body.graph)
    made = inside.made
    states = [one for one in body.inputs if one.inner in body.back and one.place >= 0]
    cut = [one for one in body.inputs if one.axis is not None]
    if not cut:
        raise NotTranslated("reads nothing step by step")
    for one in states:
        parameter = body.layer(one.inner)
        key = made.input(f"{layer.name}/{parameter.name}", 1, None)
        inside.values[parameter.id, parameter.outputs[0].number] = key
    for one in cut:
        parameter = body.layer(one.inner)
        name = f"{layer.name}/{parameter.name}"
        step = made.input(name, 1, None)
        whole = made.one("Unsqueeze", [step, made.ints([one.axis or 0])], name)
        inside.values[parameter.id, parameter.outputs[0].number] = whole
    for one in body.inputs:
        if one not in states and one.axis is None:
            parameter = body.layer(one.inner)
            inside.values[parameter.id, parameter.outputs[0].number] = inputs[one.place]
    from rnnscope.checkpoints.openvino.translate import write_layers

    write_layers(inside, skip={"Parameter", "Result"})
    for one in states:
        made.output(made.one("Identity", [_result(inside, body, body.back[one.inner])], "next"))
    scanned = [one for one in body.outputs if one.place >= 0 and not _is_state(one, body, states)]
    for one in scanned:
        key = _result(inside, body, one.inner)
        if one.axis is not None:
            key = made.one("Squeeze", [key, made.ints([one.axis])], f"{layer.name}/out")
        made.output(made.one("Identity", [key], f"{layer.name}/out"))
    keys = scope.made.node(
        "Scan",
        [*(inputs[one.place] for one in states), *(inputs[one.place] for one in cut)],
        layer.name,
        len(states) + len(scanned),
        bodies={"body": made},
        num_scan_inputs=len(cut),
        scan_input_axes=[one.axis or 0 for one in cut],
        scan_input_directions=[int(one.backward) for one in cut],
        scan_output_axes=[one.axis or 0 for one in scanned],
        scan_output_directions=[int(one.backward) for one in scanned],
    )
    scope.sources[keys[0]] = SourceOperator(f"OpenVINO {layer.type}")
    return _outputs(scope, layer, body, states, scanned, keys)


def _outputs(
    scope: IrScope,
    layer: IrLayer,
    body: LoopBody,
    states: list[Handed],
    scanned: list[Handed],
    keys: tuple[str, ...],
) -> list[str]:
    """What the loop returns, by its ports: all steps, or the last one."""
    made = [""] * len(layer.outputs)
    for one in body.outputs:
        if one.place < 0:
            continue
        if _is_state(one, body, states):
            at = next(n for n, state in enumerate(states) if body.back[state.inner] == one.inner)
            made[one.place] = keys[at]
            continue
        key = keys[len(states) + scanned.index(one)]
        if one.axis is None:
            key = scope.made.one(
                "Gather", [key, scope.made.ints(-1)], f"{layer.name}/last", axis=0
            )
        made[one.place] = key
    return made


def _is_state(one: Handed, body: LoopBody, states: list[Handed]) -> bool:
    return one.axis is None and one.inner in {body.back[state.inner] for state in states}


def _result(inside: IrScope, body: LoopBody, result: int) -> str:
    source = body.made_by(result)
    key = inside.values.get(source, "") if source is not None else ""
    if not key:
        raise NotTranslated("returns what its body does not make")
    return key


LOOPS: dict[str, Operator] = {"TensorIterator": _tensor_iterator, "Loop": _loop}
"""By type."""
