"""Which units are on throughout a span of timesteps, and where else they are on together.

A unit is on at a timestep where its value is at least a threshold, or at most one. Only valid steps
count. The page's own script has the same rule for what is embedded in it (``together.js``); a test
holds the two to each other.

References
----------
Strobelt, Gehrmann, Pfister and Rush, "LSTMVis: A Tool for Visual Analysis of Hidden State Dynamics
in Recurrent Neural Networks", 2016, arXiv:1606.07461: select a span, then match it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.seeing.state_view import StateView

MOST_PLACES = 50
"""Places that are listed."""

ENOUGH_PLACES = 20
"""So many found, fewer units together are not asked for."""

SEARCHED_BYTES = 2**30
"""Of stored values that are searched; further sequences are not, and the result says so."""

Side = Literal["above", "below"]


@dataclass(frozen=True)
class OnRule:
    """When a unit is on: its value is at least (``"above"``) or at most the threshold."""

    side: Side
    threshold: float

    def on(self, values: Array) -> Array:
        """True where a value is beyond the threshold, or at it; never for NaN."""
        beyond: Array = (
            values >= self.threshold if self.side == "above" else values <= self.threshold
        )
        return beyond


@dataclass(frozen=True)
class Span:
    """Timesteps of a sequence, from `start` up to, not including, `stop`; places in a view."""

    sequence: int
    start: int
    stop: int


@dataclass(frozen=True)
class Place:
    """A span where units are on together.

    Attributes
    ----------
    span : Span
    together : int
        How many of the units are on throughout.
    others : int
        How many further units are on throughout.
    """

    span: Span
    together: int
    others: int


@dataclass(frozen=True)
class Together:
    """The units of a span, and the other places.

    Attributes
    ----------
    units : tuple of int
        Places in the view of the units that are on at every valid step of the span; none where it
        has no valid step.
    places : tuple of Place
        The best ones: most of the units, then fewest others, then longest, then first.
    searched : int
        Sequences that were looked through, from the first.
    """

    units: tuple[int, ...]
    places: tuple[Place, ...]
    searched: int


def find_together(view: StateView, span: Span, rule: OnRule) -> Together:
    """The units that are on throughout a span, and where else they are on together.

    Other places are spans, as long as they can be, at each step of which at least so many of the
    units are on: all of them; then, while fewer than `ENOUGH_PLACES` were found, one less, down to
    half of them. Places that overlap a better one, or the span itself, are left out.

    Parameters
    ----------
    view : StateView
    span : Span
    rule : OnRule
    """
    units = _throughout(*_on(view, span.sequence, rule), span.start, span.stop)
    per_sequence = max(1, len(view.steps) * len(view.units) * view.array.dtype.itemsize)
    searched = min(view.sequences, max(1, SEARCHED_BYTES // per_sequence)) if len(units) else 0
    found: list[tuple[int, Place]] = []
    for sequence in range(searched):
        found += _places(*_on(view, sequence, rule), sequence, units, span)
    places = [place for _, place in _best_found(found)]
    places.sort(key=_rank)
    return Together(tuple(map(int, units)), tuple(places[:MOST_PLACES]), searched)


def _on(view: StateView, sequence: int, rule: OnRule) -> tuple[Array, Array]:
    """Which units are on, bool (timestep, unit), at valid steps; and which steps are valid."""
    on = np.empty((len(view.steps), len(view.units)), np.bool_)
    for part, values in view.blocks(sequence):
        on[part] = rule.on(values)
    valid = view.valid(sequence)
    return on, valid


def _throughout(on: Array, valid: Array, start: int, stop: int) -> Array:
    """The units that are on at every valid step: int64."""
    rows = on[start:stop][valid[start:stop]]
    return np.flatnonzero(rows.all(axis=0)) if len(rows) else np.zeros(0, np.int64)


def _places(
    on: Array, valid: Array, sequence: int, units: Array, span: Span
) -> Iterator[tuple[int, Place]]:
    """The places of one sequence, each with the least number of units that found it."""
    counts = np.where(valid, on[:, units].sum(axis=1), 0)
    taken = np.zeros(len(counts), np.bool_)
    if sequence == span.sequence:
        taken[span.start : span.stop] = True
    found = 0
    for least in range(len(units), max(1, -(-len(units) // 2)) - 1, -1):
        if found >= ENOUGH_PLACES:
            return
        for start, stop in _runs(counts >= least):
            if taken[start:stop].any():
                continue
            taken[start:stop] = True
            found += 1
            throughout = _throughout(on, valid, start, stop)
            together = int(np.isin(units, throughout).sum())
            place = Place(Span(sequence, start, stop), together, len(throughout) - together)
            yield least, place


def _runs(true: Array) -> Iterator[tuple[int, int]]:
    """Where it is true without a gap: start and stop."""
    edges = np.flatnonzero(np.diff(true, prepend=False, append=False))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _best_found(found: list[tuple[int, Place]]) -> list[tuple[int, Place]]:
    """What was found with so many units that fewer need not be asked for."""
    numbers = sorted((least for least, _ in found), reverse=True)
    if len(numbers) < ENOUGH_PLACES:
        return found
    enough = numbers[ENOUGH_PLACES - 1]
    return [(least, place) for least, place in found if least >= enough]


def _rank(place: Place) -> tuple[int, int, int, int, int]:
    span = place.span
    return (-place.together, place.others, span.start - span.stop, span.sequence, span.start)
