"""Readings of several deviations: which may stand together, in which order they are tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from math import comb

from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.confusions import CONFUSIONS
from rnnscope.explaining.readings.deviations import Deviation, Reading

APPLIED = {id_: place for place, id_ in enumerate(dict.fromkeys(one.id for one in CONFUSIONS))}
"""The order in which deviations are applied, by id."""

AT_ONCE = 512
"""Readings that are handed on together."""

Portion = tuple[list[Reading], float]
"""Readings, and how many of all have been made, from 0 to 1."""


def reading_of(deviations: Iterable[Deviation], setup: Setup) -> Reading | None:
    """A reading of some deviations, applied in their order; None where that means nothing."""
    reading: Reading | None = Reading((), setup)
    for deviation in sorted(deviations, key=lambda one: APPLIED[one.id]):
        reading = None if reading is None else reading.and_also(deviation)
    return reading


def readings_of_size(size: int, setup: Setup, among: Sequence[Deviation]) -> Iterator[Reading]:
    """Readings of so many deviations of different ids."""
    for chosen in combinations(among, size):
        if len({one.id for one in chosen}) < size:
            continue
        reading = reading_of(chosen, setup)
        if reading is not None:
            yield reading


def combined(size: int, setup: Setup, among: Sequence[Deviation]) -> Iterator[Portion]:
    """The same in portions, those that begin alike together: their beginning is made once."""
    total = max(comb(len(among), size), 1)
    places = {id(one): place for place, one in enumerate(among)}
    seen, portion = 0, []
    for prefix in readings_of_size(size - 1, setup, among):
        first = prefix.deviations
        ids = {one.id for one in first}
        last = max((APPLIED[id_] for id_ in ids), default=-1)
        start = 1 + max((places[id(one)] for one in first), default=-1)
        for deviation in among[start:]:
            seen += 1
            if deviation.id in ids:
                continue
            if APPLIED[deviation.id] >= last:
                reading = prefix.and_also(deviation)
            else:
                reading = reading_of((*first, deviation), setup)
            if reading is not None:
                portion.append(reading)
        if len(portion) >= AT_ONCE:
            yield portion, seen / total
            portion = []
    yield portion, 1.0


def grown(
    readings: Iterable[Reading], setup: Setup, among: Sequence[Deviation]
) -> Iterator[Portion]:
    """Readings with one deviation more, those first that agreed with the most steps."""
    ordered = sorted(readings, key=lambda one: -one.reached)
    seen: set[frozenset[int]] = set()
    portion: list[Reading] = []
    for done, base in enumerate(ordered):
        own = frozenset(map(id, base.deviations))
        ids = {one.id for one in base.deviations}
        for deviation in among:
            key = own | {id(deviation)}
            if deviation.id in ids or key in seen:
                continue
            seen.add(key)
            reading = reading_of((*base.deviations, deviation), setup)
            if reading is not None:
                portion.append(reading)
        if len(portion) >= AT_ONCE:
            yield portion, done / len(ordered)
            portion = []
    yield portion, 1.0
