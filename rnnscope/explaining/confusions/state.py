"""The state before the first step, and how it goes from one step to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer, Setup, altered
from rnnscope.explaining.confusions.changes import ChangeLayer, ChangeSetup, number_words
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation, Unknown
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS

EVERY_PERIOD_UP_TO = 24
LONG_PERIODS = (25, 30, 32, 40, 48, 50, 60, 64, 80, 100, 125, 128, 150, 160, 200, 256, 512)

MOST_SOLVED_NUMBERS = 96

CARRIED = {
    "never": "The state is never carried there, each step starts from the initial one: hand c and "
    "m of a step to the next.",
    "c never": "c is never carried there, only m is: hand both to the next step.",
    "m never": "m is never carried there, only c is: hand both to the next step.",
    "c and m swapped": "c and m change places when they are carried there.",
    "kept from the sequence before": "The state is kept from one sequence to the next there: reset "
    "it before each.",
}


def state_order_advice(value: str) -> str:
    """What to do where c is taken for m."""
    return f"Two arrays have changed places ({value}): c is the cell state, m (h) the output state."


def _constant(values: dict[str, float]) -> ChangeLayer:
    """A layer whose every state starts from one number."""

    def change(driven: DrivenLayer) -> DrivenLayer:
        widths = CELLS[driven.cell.kind].widths(driven.cell)
        start = {name: np.full((1, width), values[name]) for name, width in widths.items()}
        return altered(driven, start=start)

    return change


def _named(value: str, what: str = "", change: ChangeSetup | None = None) -> Deviation:
    advice = f"The state before the first step is {what or value} there: give both the same."
    return Deviation("initial-state", value, change, advice=advice)


def _initial_states(facts: Facts) -> Iterator[Deviation | Unknown]:
    layers = facts.layers
    if any(driven.start or driven.handed_over for driven in layers):
        yield _named("zeros", change=lambda setup: setup.changed(_from_zeros))
    yield from _starts_of_reference(facts)
    if not all(driven.stackable for driven in layers):
        return

    def constant(setup: Setup, numbers: Sequence[float]) -> Setup | None:
        return setup.changed(_constant({"c": numbers[0], "m": numbers[-1]}))

    yield _named("ones", change=lambda setup: constant(setup, (1.0,)))
    yield Unknown(
        "initial-state", ((0.3,), (-0.3,)), constant, lambda n: _named(number_words(n[0]))
    )
    if any("c" in CELLS[one.cell.kind].states for one in layers):
        yield Unknown(
            "initial-state",
            ((0.3, 0.1),),
            constant,
            lambda n: _named(f"c {number_words(n[0])}, m {number_words(n[1])}"),
        )
    yield from _solved_states(facts)


def _starts_of_reference(facts: Facts) -> Iterator[Deviation]:
    """What the reference itself says of the state before the first step."""
    told: dict[bytes, Mapping[str, Mapping[str, Array]]] = {}
    for view in facts.views:
        if all(_fits(facts, name, states) for name, states in view.start.items()):
            key = b"".join(a.tobytes() for of in view.start.values() for a in of.values())
            told.setdefault(key, view.start)
    for start in told.values():
        if start and _moves(facts.setup, start):
            what = "the one that the reference holds"
            yield _named("of the reference", what, lambda setup, start=start: _from(setup, start))  # type: ignore[misc]


def _fits(facts: Facts, name: str, states: Mapping[str, Array]) -> bool:
    widths = CELLS[facts.setup.layers[name].cell.kind].widths(facts.setup.layers[name].cell)
    return all(
        widths.get(state) == values.shape[-1] and len(values) in (1, facts.subject.sequences)
        for state, values in states.items()
    )


def _moves(setup: Setup, start: Mapping[str, Mapping[str, Array]]) -> bool:
    """Whether any of these states is another one than the run starts from."""
    return any(
        (values != setup.layers[name].start.get(state, 0.0)).any()
        for name, states in start.items()
        for state, values in states.items()
    )


def _from(setup: Setup, start: Mapping[str, Mapping[str, Array]]) -> Setup:
    layers = dict(setup.layers)
    for name, states in start.items():
        rows = {
            state: values if len(values) == 1 else values[: setup.sequences]
            for state, values in states.items()
        }
        layers[name] = altered(layers[name], start={**layers[name].start, **rows})
    return altered(setup, layers=layers)


def _from_zeros(driven: DrivenLayer) -> DrivenLayer | None:
    if driven.handed_over:
        return _constant({"c": 0.0, "m": 0.0})(driven)
    return altered(driven, start={}) if driven.start else None


def _solved_states(facts: Facts) -> Iterator[Unknown]:
    """A number for each unit of each state, the same for all sequences."""
    places = [
        (name, state, width)
        for name, driven in facts.setup.layers.items()
        for state, width in CELLS[driven.cell.kind].widths(driven.cell).items()
    ]
    total = sum(width for _, _, width in places)

    def each(setup: Setup, numbers: Sequence[float]) -> Setup:
        parts = np.split(np.asarray(numbers, np.float64), np.cumsum([w for _, _, w in places])[:-1])
        layers = dict(setup.layers)
        for (name, state, _), values in zip(places, parts, strict=True):
            start = {**layers[name].start, state: values[None]}
            layers[name] = altered(layers[name], start=start)
        return altered(setup, layers=layers)

    if total <= MOST_SOLVED_NUMBERS:
        what = "other values than zeros, for all sequences alike"
        start = ((0.0,) * total,)
        yield Unknown("initial-state", start, each, lambda _: _named("solved", what))


def _carries(facts: Facts) -> Iterator[Deviation]:
    timesteps = facts.setup.timesteps
    if not facts.layers or len(facts.stackable) != len(facts.layers):
        return
    two = len(CELLS[facts.layers[0].cell.kind].states) > 1
    ways: dict[str, dict[str, object]] = {}
    if timesteps > 1:
        ways["never"] = {"reset_every": 1}
        if two:
            ways["c never"], ways["m never"] = {"dropped": ("c",)}, {"dropped": ("m",)}
            ways["c and m swapped"] = {"swapped": True}
        for period in (*range(2, EVERY_PERIOD_UP_TO + 1), *LONG_PERIODS):
            if period < timesteps:
                ways[f"reset every {period} steps"] = {"reset_every": period}
    if facts.setup.sequences > 1:
        ways["kept from the sequence before"] = {"kept": True}
    for value, drive in ways.items():
        advice = CARRIED.get(
            value, f"The state is {value} there: carry it through the whole sequence."
        )
        yield Deviation("state-carry", value, _driven(drive), advice=advice)


def _driven(drive: dict[str, object]) -> ChangeSetup:
    return lambda setup: setup.changed(lambda driven: altered(driven, **drive))


def _start_orders(facts: Facts) -> Iterator[Deviation]:
    def swapped(driven: DrivenLayer) -> DrivenLayer | None:
        widths = CELLS[driven.cell.kind].widths(driven.cell)
        whole = {*driven.start, *driven.handed_over} == {"c", "m"} == widths.keys()
        if not whole or widths["c"] != widths["m"] or not driven.stackable:
            return None
        return altered(driven, start_swapped=True)

    if any(swapped(driven) is not None for driven in facts.layers):
        value = "c and m swapped at the start"
        change: ChangeSetup = lambda setup: setup.changed(swapped)  # noqa: E731
        yield Deviation("state-order", value, change, advice=state_order_advice(value))


CONFUSIONS = (
    Confusion("initial-state", _initial_states),
    Confusion("state-carry", _carries),
    Confusion("state-order", _start_orders),
)
