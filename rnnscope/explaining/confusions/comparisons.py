"""What the other side did with its results: which array is c, which step is the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from rnnscope.explaining.computing.setup import Setup, altered
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.confusions.padding import LEFT
from rnnscope.explaining.confusions.state import state_order_advice
from rnnscope.explaining.confusions.time_axis import shift_advice, turned_within
from rnnscope.explaining.readings.deviations import Deviation, Target, View
from rnnscope.model.cell import Array

TURNED = {
    "not turned": "The outputs of the backward layer stand in the order in which they were "
    "computed there, the last timestep first: reverse them in time.",
    "turned": "The outputs of the backward layer stand in the order of the input there; the model "
    "returns them as computed, the last timestep first: reverse them in time.",
}

LAST_STEP = (
    "The last step of the array is taken there: take the last valid step of each sequence (of a "
    "backward direction: its first timestep)."
)

SWAPPED = {"c": "m", "m": "c", "final/c": "final/m", "final/m": "final/c"}


def _state_orders(facts: Facts) -> Iterator[Deviation]:
    shapes = {
        (name, key): array.shape
        for name, results in facts.subject.results.items()
        for key, array in results.items()
    }

    def swapped(view: View) -> View | None:
        targets = []
        some = False
        for target in view.targets:
            other = SWAPPED.get(target.key)
            if other is not None and target.source != "the array":
                if shapes.get((target.node, other)) != target.values.shape:
                    return None
                targets.append(replace(target, key=other))
                some = True
                continue
            targets.append(target)
        return replace(view, targets=tuple(targets)) if some else None

    if any((name, "c") in shapes for name in facts.subject.results):
        value = "c and m swapped"
        yield Deviation("state-order", value, look=swapped, advice=state_order_advice(value))


def _over_time(
    change: Callable[[Target], Array | None], *, final: bool = True
) -> Callable[[View], View | None]:
    """A view whose arrays over time are changed; final states stay, or forbid it."""

    def look(view: View) -> View | None:
        targets, some = [], False
        for target in view.targets:
            if target.values.ndim != 3:
                if not final:
                    return None
                targets.append(target)
                continue
            values = change(target)
            if values is None:
                targets.append(target)
                continue
            some = True
            targets.append(target.with_values(values))
        return replace(view, targets=tuple(targets)) if some else None

    return look


def _shifts(facts: Facts) -> Iterator[Deviation]:
    timesteps = facts.setup.timesteps

    def moved(by: int) -> Callable[[Target], Array | None]:
        def change(target: Target) -> Array | None:
            out = np.full_like(target.values, np.nan)
            if by > 0:  # what we have at t stands at t + by
                out[:, :-by] = target.values[:, by:]
            else:
                out[:, -by:] = target.values[:, :by]
            return out

        return change

    for steps in (1, 2):
        for way, by in (("late", steps), ("early", -steps)):
            if timesteps > steps + 2:
                look = _over_time(moved(by))
                advice = shift_advice(steps, way)
                yield Deviation("shift", f"{steps} {way}", look=look, advice=advice)


def _turned_outputs(facts: Facts) -> Iterator[Deviation]:
    backward = {name for name, one in facts.setup.layers.items() if one.layer.backward.value}
    if not backward:
        return
    lengths = facts.setup.lengths
    halves = {
        node.name: node.reads
        for node in facts.setup.nodes
        if node.recurrent is None and node.layer.joins_directions  # type: ignore[union-attr]
    }

    def turned(values: Array, *, within: bool) -> Array:
        if within and lengths is not None:
            return turned_within(values, lengths)
        return np.ascontiguousarray(values[:, ::-1])

    def change(target: Target, *, within: bool) -> Array | None:
        if target.node in backward:
            return turned(target.values, within=within)
        reads = halves.get(target.node, ())
        if len(reads) != 2 or reads[1] not in backward:
            return None
        width = target.values.shape[-1]
        if width % 2:
            return None
        forward, second = np.split(target.values, 2, axis=-1)
        return np.concatenate([forward, turned(second, within=within)], axis=-1)

    order = {facts.setup.layers[name].layer.outputs_in_input_order for name in backward}
    value = "not turned" if True in order else "turned"
    shorter = lengths is not None and (lengths < facts.setup.timesteps).any()
    for within in (False, True) if shorter else (False,):
        look = _over_time(lambda target, within=within: change(target, within=within))  # type: ignore[misc]
        yield Deviation("turned-outputs", value, look=look, advice=TURNED[value])


def _last_steps(facts: Facts) -> Iterator[Deviation]:
    def look(view: View) -> View | None:
        targets, some = [], False
        for target in view.targets:
            if target.key == "final/m":
                targets.append(replace(target, key="last"))
                some = True
                continue
            targets.append(target)
        return replace(view, targets=tuple(targets)) if some else None

    backward = any(one.layer.backward.value for one in facts.layers)
    if facts.setup.mask is not None or backward:
        yield Deviation("last-step", "last of the array", look=look, advice=LAST_STEP)
    returned = [one for one in facts.layers if not one.layer.return_sequences]
    if returned and (facts.setup.mask is not None or backward):
        yield Deviation("last-step", "last of the array", _handing_on_the_last, advice=LAST_STEP)


def _handing_on_the_last(setup: Setup) -> Setup | None:
    return setup.changed(
        lambda one: None if one.layer.return_sequences else altered(one, last_of_array=True)
    )


def _left_padding(facts: Facts) -> Iterator[Deviation]:
    lengths = facts.setup.lengths
    if lengths is None or (lengths == facts.setup.timesteps).all():
        return

    def change(target: Target) -> Array | None:
        out = np.full_like(target.values, np.nan)
        timesteps = target.values.shape[1]
        for row, length in enumerate(lengths):
            if length:
                out[row, :length] = target.values[row, timesteps - length :]
        return out

    yield Deviation("left-padding", "true, masked", look=_over_time(change), advice=LEFT)


CONFUSIONS = (
    Confusion("left-padding", _left_padding),
    Confusion("turned-outputs", _turned_outputs),
    Confusion("shift", _shifts),
    Confusion("last-step", _last_steps),
    Confusion("state-order", _state_orders),
)
