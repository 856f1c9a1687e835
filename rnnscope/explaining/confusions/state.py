"""The state before the first step, and how it goes from one step to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.confusions.options import words
from rnnscope.explaining.deviations import Deviation, Unknown
from rnnscope.explaining.setup import DrivenLayer, Setup, altered
from rnnscope.model.cells import CELLS

EVERY_PERIOD_UP_TO = 24
LONG_PERIODS = (25, 30, 32, 40, 48, 50, 60, 64, 80, 100, 125, 128, 150, 160, 200, 256, 512)

MOST_SOLVED_NUMBERS = 96


def _start(driven: DrivenLayer, values: dict[str, float]) -> DrivenLayer:
    widths = CELLS[driven.cell.kind].widths(driven.cell)
    start = {name: np.full((1, width), values[name]) for name, width in widths.items()}
    return altered(driven, start=start)


def _initial_states(facts: Facts) -> Iterator[Deviation | Unknown]:
    layers = facts.layers
    if any(driven.start for driven in layers):
        yield Deviation(
            "initial-state",
            "zeros",
            lambda setup: setup.changed(lambda one: altered(one, start={}) if one.start else None),
        )
    if not all(driven.stackable for driven in layers):
        return

    def constant(setup: Setup, numbers: Sequence[float]) -> Setup | None:
        both = {"c": numbers[0], "m": numbers[-1]}
        return setup.changed(lambda driven: _start(driven, both))

    yield Deviation("initial-state", "ones", lambda setup: constant(setup, (1.0,)))
    yield Unknown("initial-state", ((0.3,), (-0.3,)), constant, lambda numbers: words(numbers[0]))
    if any("c" in CELLS[one.cell.kind].states for one in layers):
        yield Unknown(
            "initial-state",
            ((0.3, 0.1),),
            constant,
            lambda numbers: f"c {words(numbers[0])}, m {words(numbers[1])}",
        )
    places = [
        (name, state, width)
        for name, driven in facts.setup.layers.items()
        for state, width in CELLS[driven.cell.kind].widths(driven.cell).items()
    ]
    total = sum(width for _, _, width in places)
    if total > MOST_SOLVED_NUMBERS:
        return

    def each(setup: Setup, numbers: Sequence[float]) -> Setup:
        values = np.asarray(numbers, np.float64)
        layers = dict(setup.layers)
        at = 0
        for name, state, width in places:
            row = values[None, at : at + width]
            layers[name] = altered(layers[name], start={**layers[name].start, state: row})
            at += width
        return altered(setup, layers=layers)

    yield Unknown("initial-state", ((0.0,) * total,), each, lambda _: "solved")


def _carries(facts: Facts) -> Iterator[Deviation]:
    layers = [driven for driven in facts.layers if driven.stackable]
    timesteps = facts.setup.timesteps
    if not layers or len(layers) != len(facts.layers):
        return
    states = CELLS[layers[0].cell.kind].states

    def every(change: Callable[[DrivenLayer], DrivenLayer]) -> Callable[[Setup], Setup | None]:
        return lambda setup: setup.changed(change)

    if timesteps > 1:
        yield Deviation(
            "state-carry", "never", every(lambda driven: altered(driven, reset_every=1))
        )
        for state in states if len(states) > 1 else ():
            yield Deviation(
                "state-carry",
                f"{state} never",
                every(lambda driven, state=state: altered(driven, dropped=(state,))),  # type: ignore[misc]
            )
        if len(states) > 1:
            yield Deviation(
                "state-carry",
                "c and m swapped",
                every(lambda driven: altered(driven, swapped=True)),
            )
        for period in (*range(2, EVERY_PERIOD_UP_TO + 1), *LONG_PERIODS):
            if period < timesteps:
                yield Deviation(
                    "state-carry",
                    f"reset every {period} steps",
                    every(lambda driven, period=period: altered(driven, reset_every=period)),  # type: ignore[misc]
                )
    if facts.setup.sequences > 1:
        yield Deviation(
            "state-carry",
            "kept from the sequence before",
            every(lambda driven: altered(driven, kept=True)),
        )


def _start_orders(facts: Facts) -> Iterator[Deviation]:
    def swapped(driven: DrivenLayer) -> DrivenLayer | None:
        start = driven.start
        if start.keys() != {"c", "m"} or start["c"].shape != start["m"].shape:
            return None
        return altered(driven, start={"c": start["m"], "m": start["c"]})

    if any(driven.start.keys() == {"c", "m"} for driven in facts.layers):
        yield Deviation(
            "state-order", "c and m swapped at the start", lambda setup: setup.changed(swapped)
        )


CONFUSIONS = (
    Confusion("initial-state", _initial_states),
    Confusion("state-carry", _carries),
    Confusion("state-order", _start_orders),
)
