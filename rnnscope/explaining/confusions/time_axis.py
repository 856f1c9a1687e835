"""The axis of time: its direction, which axis it is, and steps too early or too late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer, Setup, altered
from rnnscope.explaining.confusions.changes import ChangeSetup
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation
from rnnscope.model.cell import Array

REVERSED = {
    "whole": "Time is turned as a whole there: padding comes first.",
    "within length": "Time is turned within each length there.",
    "not reversed": "The backward layer reads forward there: turn its input, and its outputs back.",
}

MOST_SHIFT = 2


def turned_within(values: Array, lengths: Array) -> Array:
    """Each sequence turned within its length; what comes after stays."""
    out: Array = values.copy()
    for row, length in enumerate(lengths):
        out[row, :length] = values[row, :length][::-1]
    return out


def shift_advice(steps: int, way: str) -> str:
    """What to compare where everything stands some steps late or early."""
    plural = "step" if steps == 1 else "steps"
    return f"Everything is {steps} {plural} {way} there: compare step t with the right one."


def _reversed(facts: Facts) -> Iterator[Deviation]:
    backward = [driven for driven in facts.layers if driven.layer.backward.value]
    changes: list[tuple[str, ChangeSetup]] = []
    if backward:
        changes.append(("not reversed", lambda setup: setup.changed(_forward)))
        if facts.setup.mask is not None:
            changes += [
                (way, _other_reversal(way))
                for way in ("whole", "within length")
                if any(one.layer.reversal != way for one in backward)
            ]
    else:
        changes += [("whole", _turned_input), ("whole", _backward_layers("whole"))]
        own = facts.setup.lengths
        if own is not None and (own < facts.setup.timesteps).any():
            changes += [
                ("within length", _input_turned_within),
                ("within length", _backward_layers("within length")),
            ]
    for value, change in changes:
        yield Deviation("reversed", value, change, advice=REVERSED[value])


def _turned_input(setup: Setup) -> Setup:
    return setup.with_inputs(lambda x: np.ascontiguousarray(x[:, ::-1]))


def _input_turned_within(setup: Setup) -> Setup | None:
    lengths = setup.lengths
    return None if lengths is None else setup.with_inputs(lambda x: turned_within(x, lengths))


def _forward(driven: DrivenLayer) -> DrivenLayer | None:
    option = driven.layer.backward
    if not option.value:
        return None
    forward = altered(option, value=False)
    layer = altered(driven.layer, backward=forward, outputs_in_input_order=True)
    return altered(driven, layer=layer)


def _other_reversal(way: str) -> ChangeSetup:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        layer: Any = driven.layer
        if not layer.backward.value or layer.reversal == way:
            return None
        return altered(driven, layer=altered(layer, reversal=way))

    return lambda setup: setup.changed(change)


def _backward_layers(way: str) -> ChangeSetup:
    """Forward layers read from the end, and their outputs turned back."""

    def change(driven: DrivenLayer) -> DrivenLayer:
        layer: Any = driven.layer
        backward = altered(layer.backward, value=True)
        return altered(driven, layer=altered(layer, backward=backward, reversal=way))

    return lambda setup: setup.changed(change)


def _time_major(facts: Facts) -> Iterator[Deviation]:
    setup = facts.setup
    shape = next(iter(setup.inputs.values())).shape
    if shape[0] < 2 or shape[1] < 2 or setup.of_decoder:
        return
    # A run turns the axes of the file; lengths and ids would be of the other axis then.
    plain = setup.mask is None and facts.subject.embedding is None
    given = facts.subject.planned.recipe["time_major"]
    told = {"time_major": not given} if plain else None
    ways = (
        ("input", "axis 0 as time", _turned_axes, told),
        ("input reshaped", "its bytes taken for the other order", _reshaped, None),
    )
    for value, how, change, options in ways:
        yield Deviation(
            "time-major",
            value,
            change,
            advice=f"The input {shape} is read time-major there, {how}: axes are (sequence, "
            "timestep, feature); say batch_first=True or transpose.",
            options=options,
        )


def _turned_axes(setup: Setup) -> Setup | None:
    if any(len(a) > 1 for one in setup.layers.values() for a in one.start.values()):
        return None  # states of as many sequences as there are fit no other number of them
    # Sequences become steps: all of them are needed for the last state.
    whole = setup.whole_inputs or setup.inputs
    return altered(setup, transposed=True, mask=None, inputs=whole, whole_inputs=None)


def _reshaped(setup: Setup) -> Setup | None:
    """The bytes of (sequence, timestep) taken for (timestep, sequence)."""
    if setup.transposed:
        return None

    def other(x: Array) -> Array:
        return np.ascontiguousarray(x.reshape(x.shape[1], x.shape[0], -1).swapaxes(0, 1))

    # Which bytes become which step depends on all sequences.
    whole = setup.whole_inputs or setup.inputs
    made = {name: other(x)[: setup.sequences] for name, x in whole.items()}
    return altered(setup, inputs=made, whole_inputs=None, mask=None)


def _shifts(facts: Facts) -> Iterator[Deviation]:
    for steps in range(1, min(MOST_SHIFT, facts.setup.timesteps - 1) + 1):
        for way, by in (("late", steps), ("early", -steps)):
            yield Deviation(
                "shift", f"{steps} {way}", _shifted(by), advice=shift_advice(steps, way)
            )


def _shifted(by: int) -> ChangeSetup:
    def moved(x: Array) -> Array:
        out = np.zeros_like(x)
        if by > 0:
            out[:, by:] = x[:, :-by]
        else:
            out[:, :by] = x[:, -by:]
        return out

    return lambda setup: setup.with_inputs(moved)


CONFUSIONS = (
    Confusion("reversed", _reversed),
    Confusion("time-major", _time_major),
    Confusion("shift", _shifts),
)
