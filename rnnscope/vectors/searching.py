"""Inputs on which readings differ: drawn, tried, and added until every reading is told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.computing.simulated import results_of
from rnnscope.vectors.drawing import SCALES, Drawn, plain_case, searched_case
from rnnscope.vectors.parts import Part, Results
from rnnscope.vectors.readings import (
    APART,
    NOTHING,
    KnownReading,
    known_readings,
    not_told_apart,
    reason_of,
)
from rnnscope.vectors.result import NotSeparated
from rnnscope.vectors.tolerance import rounding_tolerance

TRIES = len(SCALES) + 4

PLAIN_TRIES = 6

MOST_CASES = 4
"""Of one part, beside the plain one."""

COARSER = 4.0
"""An input over which rounding may do more than so many times what it may over the others is left
alone: the tolerance of all would have to be that of the worst."""


@dataclass(frozen=True)
class VectorsRequest:
    """What is wanted.

    Attributes
    ----------
    sequences, timesteps : int
        Of the inputs that are searched.
    seed : int
    weights : bool
        Whether the weights are written as well.
    """

    sequences: int = 3
    timesteps: int = 20
    seed: int = 0
    weights: bool = False

    def require_sense(self) -> None:
        """Refuse sizes on which nothing can be told apart.

        Raises
        ------
        OptionError
        """
        for name, value, least, most in (
            ("sequences", self.sequences, 2, 64),
            ("steps", self.timesteps, 4, 200),
        ):
            if not least <= value <= most:
                raise OptionError(
                    f"{spell(name)} makes no vectors to test with.",
                    where=spell(name, str(value)),
                    expected=f"a number from {least} to {most}",
                    found=value,
                )
        if self.seed < 0:
            raise OptionError(
                f"{spell('seed')} is no seed.", expected="a whole number from 0", found=self.seed
            )


@dataclass(eq=False)
class Tried:
    """An input, what it gives, and how far rounding may move that.

    Attributes
    ----------
    drawn : Drawn
    setup : Setup
    results : dict of str to dict of str to ndarray
    tolerance : float
        In units of the largest value of each array.
    """

    drawn: Drawn
    setup: Setup
    results: Results
    tolerance: float


@dataclass(eq=False)
class Searched:
    """A part, its inputs, and the readings that they are meant to tell apart.

    Attributes
    ----------
    part : Part
    random : numpy.random.Generator
    chosen : list of Tried
    readings : list of KnownReading
    tried : int
        Inputs that were drawn.
    waiting : list of KnownReading
        Those that no input tells apart, by the tolerance that the search went by.
    """

    part: Part
    random: np.random.Generator
    chosen: list[Tried]
    readings: list[KnownReading]
    tried: int
    waiting: list[KnownReading] = field(default_factory=list)

    @property
    def tolerance(self) -> float:
        return max(one.tolerance for one in self.chosen)


def begin_search(part: Part, request: VectorsRequest, number: int) -> Searched:
    """A part with two inputs: the plain one, and one with lengths and states before it."""
    # A seed of its own for each part, so that one layer's vectors are the same in any model.
    random = np.random.Generator(np.random.PCG64([request.seed, number]))
    # Of inputs with which an implementation begins, the one over which rounding does least.
    drawn = [_tried(part, plain_case(part, random)) for _ in range(PLAIN_TRIES)]
    plain = min(drawn, key=lambda one: one.tolerance)
    first = _tried(part, _drawn(part, random, 0, request))
    readings = known_readings(part, first.setup, first.results)
    return Searched(part, random, [plain, first], readings, PLAIN_TRIES + 1)


def add_cases(searched: Searched, request: VectorsRequest, tolerance: float) -> None:
    """Add inputs for as long as a reading is left that the others do not tell apart."""
    part = searched.part
    waiting = searched.readings
    for one in searched.chosen:
        waiting = _still(part, waiting, one, tolerance)
    same: list[KnownReading] = []
    differing: set[tuple[str, str, int]] = set()
    for attempt in range(1, TRIES):
        # What gives the same numbers over inputs of every scale is the same function.
        if attempt == len(SCALES):
            same = [one for one in waiting if one.key not in differing]
            waiting = [one for one in waiting if one.key in differing]
        if not waiting or len(searched.chosen) > MOST_CASES:
            break
        drawn = _drawn(part, searched.random, attempt, request)
        setup = part.with_input(drawn.x, drawn.given_lengths, drawn.initial)
        results = results_of(setup)
        searched.tried += 1
        left = not_told_apart(waiting, setup, results, APART * tolerance)
        differing |= {one.key for at, one in enumerate(waiting) if _differs(left, at)}
        if len(left) == len(waiting):
            continue
        # What needs an input over which rounding does more comes late, if at all.
        own = rounding_tolerance(setup, results, part.dtype)
        if own > tolerance * (1 if attempt < len(SCALES) else COARSER):
            continue
        if own > tolerance:
            left = not_told_apart(waiting, setup, results, APART * own)
        if len(left) < len(waiting):
            searched.chosen.append(Tried(drawn, setup, results, own))
            waiting = [waiting[at] for at in sorted(left)]
    searched.waiting = same + waiting


def _differs(left: Mapping[int, float | None], at: int) -> bool:
    """Whether a reading gives other numbers at all, by what `not_told_apart` says."""
    difference = left.get(at, np.inf)  # what is told apart is not in it
    return difference is not None and difference > NOTHING


def _drawn(part: Part, random: np.random.Generator, attempt: int, request: VectorsRequest) -> Drawn:
    return searched_case(part, random, attempt, request.sequences, request.timesteps)


def _tried(part: Part, drawn: Drawn) -> Tried:
    setup = part.with_input(drawn.x, drawn.given_lengths, drawn.initial)
    results = results_of(setup)
    return Tried(drawn, setup, results, rounding_tolerance(setup, results, part.dtype))


def _still(
    part: Part, readings: list[KnownReading], tried: Tried, tolerance: float
) -> list[KnownReading]:
    """The readings that an input does not tell apart."""
    left = _not_apart(part, readings, tried, APART * tolerance)
    return [readings[at] for at in sorted(left)]


def _not_apart(
    part: Part, readings: list[KnownReading], tried: Tried, limit: float
) -> dict[int, float | None]:
    """As of `not_told_apart`; over the plain input readings are those that mean the same there."""
    if not tried.drawn.plain:
        return not_told_apart(readings, tried.setup, tried.results, limit)
    # A reading is made for a number of sequences, steps and lengths.
    own = {one.key: one for one in known_readings(part, tried.setup, tried.results)}
    same = [at for at, one in enumerate(readings) if one.key in own]
    left = not_told_apart([own[readings[at].key] for at in same], tried.setup, tried.results, limit)
    found: dict[int, float | None] = {same[at]: apart for at, apart in left.items()}
    found.update(dict.fromkeys(set(range(len(readings))) - set(same)))
    return found


def not_separated(
    searched: Searched, readings: list[KnownReading], tolerance: float
) -> tuple[list[NotSeparated], set[tuple[str, str, int]]]:
    """Those of some readings that no input tells apart, and the keys of what means nothing."""
    waiting: dict[int, float | None] = dict.fromkeys(range(len(readings)))
    for one in searched.chosen:
        places = sorted(waiting)
        some = [readings[at] for at in places]
        left = _not_apart(searched.part, some, one, APART * tolerance)
        kept: dict[int, float | None] = {}
        for place, difference in left.items():
            before = waiting[places[place]]
            known = [d for d in (before, difference) if d is not None]
            kept[places[place]] = max(known) if known else None
        waiting = kept
    meant = {at: difference for at, difference in waiting.items() if difference is not None}
    setup = searched.chosen[1].setup
    # One line for all that are called the same.
    found: dict[tuple[str, str], NotSeparated] = {}
    for at, difference in sorted(meant.items()):
        reading = readings[at]
        reason = reason_of(reading, setup, difference, tolerance, searched.tried)
        name = searched.part.layer or searched.part.name
        found.setdefault(reading.name, NotSeparated(name, *reading.name, reason))
    return list(found.values()), {readings[at].key for at in waiting if at not in meant}
