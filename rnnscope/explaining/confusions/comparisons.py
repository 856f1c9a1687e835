"""What the other side did with its results: which array is c, which step is the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.confusions.timing import turned_within
from rnnscope.explaining.deviations import Deviation, Target, View
from rnnscope.model.cell import Array

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
        yield Deviation("state-order", "c and m swapped", look=swapped)


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
        if timesteps > steps + 2:
            yield Deviation("shift", f"{steps} late", look=_over_time(moved(steps)))
            yield Deviation("shift", f"{steps} early", look=_over_time(moved(-steps)))


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
    yield Deviation("turned-outputs", value, look=_over_time(lambda t: change(t, within=False)))
    if lengths is not None and (lengths < facts.setup.timesteps).any():
        yield Deviation("turned-outputs", value, look=_over_time(lambda t: change(t, within=True)))


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
        yield Deviation("last-step", "last of the array", look=look)
    returned = [one for one in facts.layers if not one.layer.return_sequences]
    if returned and (facts.setup.mask is not None or backward):
        yield Deviation(
            "last-step",
            "last of the array",
            lambda setup: setup.changed(
                lambda one: None if one.layer.return_sequences else replace(one, last_of_array=True)
            ),
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

    yield Deviation("left-padding", "true, masked", look=_over_time(change))


CONFUSIONS = (
    Confusion("left-padding", _left_padding),
    Confusion("turned-outputs", _turned_outputs),
    Confusion("shift", _shifts),
    Confusion("last-step", _last_steps),
    Confusion("state-order", _state_orders),
)
