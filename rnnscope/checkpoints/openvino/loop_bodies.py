"""The bodies of OpenVINO's loops, written into ONNX's Scan and Loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnscope.checkpoints.openvino.interface import IrScope
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.openvino.ports import (
    ITERATION,
    TO_CONDITION,
    Handed,
    LoopBody,
    step_axis,
)
from rnnscope.checkpoints.openvino.writing import write_layers
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.checkpoints.translated.reading import SourceOperator
from rnnscope.deferred_dataclass import dataclass


@dataclass(eq=False)
class _Writing:
    """A loop on its way: what it carries, what it reads and returns step by step."""

    scope: IrScope
    layer: IrLayer
    body: LoopBody
    inputs: list[str]

    def __post_init__(self) -> None:
        handed, returned = self.body.inputs, self.body.outputs
        self.inside = self.scope.body(self.body.graph)
        self.states = [one for one in handed if one.inner in self.body.back and one.place >= 0]
        self.cut = [one for one in handed if one.axis is not None]
        self.whole = [
            one for one in handed if one.axis is None and one not in self.states and one.place >= 0
        ]
        self.stacked = [one for one in returned if one.place >= 0 and not self.is_state(one)]

    def is_state(self, one: Handed) -> bool:
        """Whether an output is what a carried value is in the end."""
        return one.axis is None and one.inner in {self.body.back[own.inner] for own in self.states}

    def bind(self, one: Handed, key: str) -> None:
        """Hand a value to the body."""
        parameter = self.body.layer(one.inner)
        self.inside.values[parameter.id, parameter.outputs[0].number] = key

    def name(self, one: Handed) -> str:
        return f"{self.layer.name}/{self.body.layer(one.inner).name}"

    def enter(self) -> None:
        """Bind carried values and those that are handed over whole."""
        for one in self.states:
            self.bind(one, self.inside.made.input(self.name(one), 1, None))
        for one in self.whole:
            self.bind(one, self.inputs[one.place])

    def write_body(self) -> None:
        write_layers(self.inside, skip={"Parameter", "Result"})

    def leave(self) -> None:
        """Return carried values, then what is stacked, each step without its axis."""
        made = self.inside.made
        for one in self.states:
            made.output(made.one("Identity", [self.result(self.body.back[one.inner])], "next"))
        for one in self.stacked:
            key = self.result(one.inner)
            if one.axis is not None:
                key = made.one("Squeeze", [key, made.ints([one.axis])], f"{self.layer.name}/out")
            made.output(made.one("Identity", [key], f"{self.layer.name}/out"))

    def result(self, own: int) -> str:
        """The key of what a Result of the body returns."""
        source = self.body.made_by(own)
        key = self.inside.values.get(source, "") if source is not None else ""
        if not key:
            raise NotTranslated("returns what its body does not make")
        return key

    def outputs(self, keys: Sequence[str]) -> list[str]:
        """The loop's outputs, by its ports; `keys` are final states and stacked values."""
        self.scope.sources[keys[0]] = SourceOperator(f"OpenVINO {self.layer.type}")
        made = [""] * len(self.layer.outputs)
        for one in self.body.outputs:
            if one.place < 0:
                continue
            if self.is_state(one):
                ends = [self.body.back[state.inner] for state in self.states]
                made[one.place] = keys[ends.index(one.inner)]
                continue
            key = keys[len(self.states) + self.stacked.index(one)]
            if one.axis is None:
                last = self.scope.made.ints(-1)
                key = self.scope.made.one("Gather", [key, last], f"{self.layer.name}/last", axis=0)
            made[one.place] = key
        return made


def write_scan(scope: IrScope, layer: IrLayer, body: LoopBody, inputs: list[str]) -> Sequence[str]:
    """A loop over every step of what it reads."""
    one_loop = _Writing(scope, layer, body, inputs)
    cut, states, stacked = one_loop.cut, one_loop.states, one_loop.stacked
    if not cut:
        raise NotTranslated("reads nothing step by step")
    one_loop.enter()
    made = one_loop.inside.made
    for one in cut:
        step = made.input(one_loop.name(one), 1, None)
        axis = made.ints([step_axis(one)])
        one_loop.bind(one, made.one("Unsqueeze", [step, axis], one_loop.name(one)))
    one_loop.write_body()
    one_loop.leave()
    keys = scope.made.node(
        "Scan",
        [*(inputs[one.place] for one in states), *(inputs[one.place] for one in cut)],
        layer.name,
        len(states) + len(stacked),
        body=made,
        num_scan_inputs=len(cut),
        scan_input_axes=[step_axis(one) for one in cut],
        scan_input_directions=[int(one.backward) for one in cut],
        scan_output_axes=[one.axis or 0 for one in stacked],
        scan_output_directions=[int(one.backward) for one in stacked],
    )
    return one_loop.outputs(keys)


def write_loop(scope: IrScope, layer: IrLayer, body: LoopBody, inputs: list[str]) -> Sequence[str]:
    """A loop that may end by a number of turns or by a condition."""
    one_loop = _Writing(scope, layer, body, inputs)
    if any(one.axis is not None and one.backward for one in body.outputs):
        raise NotTranslated("stacks what it returns from the end")
    made = one_loop.inside.made
    turn = made.input(f"{layer.name}/turn", 7, [])
    made.input(f"{layer.name}/goes on", 9, [])
    one_loop.enter()
    for one in one_loop.cut:
        one_loop.bind(one, _step_of(one_loop, one, turn))
    for one in body.inputs:
        if one.purpose == ITERATION:
            one_loop.bind(one, turn)
    one_loop.write_body()
    condition = next((one for one in body.outputs if one.purpose == TO_CONDITION), None)
    if condition is None:
        raise NotTranslated("says nowhere whether it goes on")
    goes_on = made.one("Reshape", [one_loop.result(condition.inner), _scalar(one_loop)], "goes on")
    made.output(goes_on)
    one_loop.leave()
    keys = scope.made.node(
        "Loop",
        [_turns(scope, layer, inputs), inputs[1], *(inputs[one.place] for one in one_loop.states)],
        layer.name,
        len(one_loop.states) + len(one_loop.stacked),
        body=made,
    )
    moved = list(keys)
    for number, one in enumerate(one_loop.stacked, len(one_loop.states)):
        if one.axis:
            rank = len(layer.outputs[one.place].dims)
            perm = [*range(1, one.axis + 1), 0, *range(one.axis + 1, rank)]
            moved[number] = scope.made.one(
                "Transpose", [keys[number]], f"{layer.name}/stacked", perm=perm
            )
    return one_loop.outputs(moved)


def _scalar(one_loop: _Writing) -> str:
    return one_loop.inside.made.stored("scalar", np.zeros(0, np.int64))


def _step_of(one_loop: _Writing, one: Handed, turn: str) -> str:
    """The part of an input that a turn reads."""
    made, name, axis = one_loop.inside.made, one_loop.name(one), step_axis(one)
    at = turn
    if one.backward:
        at = made.one("Sub", [made.ints(-1), turn], name)
    step = made.one("Gather", [one_loop.inputs[one.place], at], name, axis=axis)
    return made.one("Unsqueeze", [step, made.ints([axis])], name)


def _turns(scope: IrScope, layer: IrLayer, inputs: list[str]) -> str:
    """How many turns there are at most; fewer than none are as many as there may be."""
    made = scope.made
    wide = made.one("Cast", [inputs[0]], f"{layer.name}/turns", to=7)
    none = made.one("Less", [wide, made.ints(0)], f"{layer.name}/turns")
    return made.one("Where", [none, made.ints(2**62), wide], f"{layer.name}/turns")
