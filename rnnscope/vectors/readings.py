"""The readings that `explain` knows, and which of them an input tells from the right one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.compared.comparison import Comparison, PreparedViews
from rnnscope.explaining.computing.grouping import groups
from rnnscope.explaining.computing.setup import DrivenLayer, Setup
from rnnscope.explaining.computing.simulated import prepared
from rnnscope.explaining.computing.simulation import simulate
from rnnscope.explaining.confusions import CONFUSIONS, Facts
from rnnscope.explaining.readings.deviations import Deviation, Unknown, View
from rnnscope.vectors.parts import Part, Results, view_of

APART = 100.0
"""Tolerances by which a reading has to differ, in some value of some case."""

OTHER_FILES = frozenset({"checkpoint-step"})
"""Ids that depend on what lies beside the checkpoint: vectors depend on the checkpoint alone."""

AT_ONCE = 64

NOTHING = 1e-12
"""In units of the largest value: what two orders of the same sums are apart."""


@dataclass(frozen=True, eq=False)
class KnownReading:
    """One misreading.

    Attributes
    ----------
    deviation : Deviation
        Its change, or its look at what is compared.
    number : int
        Of those that are called the same: one misreading may be made in several ways.
    """

    deviation: Deviation
    number: int

    @property
    def name(self) -> tuple[str, str]:
        return self.deviation.id, self.deviation.value

    @property
    def key(self) -> tuple[str, str, int]:
        return (*self.name, self.number)


def known_readings(part: Part, setup: Setup, results: Results) -> list[KnownReading]:
    """Every single deviation that means something to a part over an input.

    Numbers that `explain` solves for stand where its search for them begins.
    """
    view = view_of(results, setup)
    facts = Facts(part.subject(setup, results), [view])
    found: list[Deviation] = []
    for confusion in CONFUSIONS:
        if confusion.id in OTHER_FILES:
            continue
        for one in confusion.deviations(facts):
            if isinstance(one, Unknown):
                starts = [start for start in one.starts if any(start)]
                found += [at for at in map(one.at, starts) if _changes(at, setup)]
            else:
                found.append(one)
    seen: Counter[tuple[str, str]] = Counter()
    readings = []
    for one in found:
        readings.append(KnownReading(one, seen[one.id, one.value]))
        seen[one.id, one.value] += 1
    return readings


def _changes(deviation: Deviation, setup: Setup) -> bool:
    """Whether a number that is solved for begins with another one than the model's own."""
    changed = None if deviation.change is None else deviation.change(setup)
    return changed is not None and not _same_numbers(setup, changed)


def not_told_apart(
    readings: Sequence[KnownReading],
    setup: Setup,
    results: Results,
    limit: float,
) -> dict[int, float | None]:
    """The readings that differ by less than a limit over an input.

    Parameters
    ----------
    readings : sequence of KnownReading
    setup : Setup
    results : dict of str to dict of str to ndarray
        What the right reading gives.
    limit : float
        In units of the largest value of each array.

    Returns
    -------
    dict of int to float or None
        By place among the readings: the largest difference, in the same units; None for a reading
        that means nothing over this input, since the right one is what it says.
    """
    base = view_of(results, setup)
    views = [base]
    left: dict[int, float | None] = {}
    of_views: list[int] = []
    of_setups: list[int] = []
    setups: list[Setup] = []
    for at, reading in enumerate(readings):
        one = reading.deviation
        if one.look is not None:
            view = base.and_also(one)
            if view is None:
                left[at] = None
            else:
                views.append(view)
                of_views.append(at)
            continue
        assert one.change is not None
        changed = one.change(setup)
        if changed is None:
            left[at] = None
        else:
            setups.append(prepared(changed))
            of_setups.append(at)
    for view, at in zip(views[1:], of_views, strict=True):
        # The other side's own array is what is looked at: the right one stands in its place.
        difference = max(_differences(view, results), default=0.0)
        if difference <= limit:
            left[at] = difference
    for members in groups(setups):
        for start in range(0, len(members), AT_ONCE):
            some = members[start : start + AT_ONCE]
            for at, difference in _kept([setups[one] for one in some], base, limit).items():
                left[of_setups[some[at]]] = difference
    return left


def _differences(view: View, results: Results) -> Iterator[float]:
    """By target of a view that says something: how far the results are from it."""
    for target in view.targets:
        got = results.get(target.node, {}).get(target.key)
        known = np.isfinite(target.values)
        if got is None or got.shape != target.values.shape:
            yield np.inf
        elif known.any():
            yield float(np.abs(got - target.values)[known].max()) / target.scale


def _kept(setups: Sequence[Setup], view: View, limit: float) -> dict[int, float]:
    """The setups that stay within a limit of a view to the end, with the largest difference."""
    first = setups[0]
    comparison = Comparison(
        [view],
        np.ones(len(setups), int),
        1,
        np.full((len(setups), 1), limit),
        first.sequences,
        transposed=first.transposed,
        prepared_views=PreparedViews(),
        whole=True,
    )
    kept = simulate(list(setups), comparison)
    return {int(at): float(comparison.errors[place, 0]) for place, at in enumerate(kept)}


def reason_of(
    reading: KnownReading, setup: Setup, difference: float, tolerance: float, tried: int
) -> str:
    """Why a reading is not told apart, in words.

    Parameters
    ----------
    reading : KnownReading
    setup : Setup
        Over any of the inputs.
    difference : float
        The largest over all inputs that were tried, in units of the largest value.
    tolerance : float
        In the same units.
    tried : int
        Inputs.
    """
    if difference > NOTHING:
        about = difference / tolerance
        return (
            f"it differs by {about:.1g} tolerances at most on the {tried} inputs that were tried, "
            f"and {APART:g} are asked for"
        )
    change = reading.deviation.change
    changed = None if change is None else change(setup)
    if changed is not None and _same_numbers(setup, changed):
        return "the numbers that it exchanges are equal: it is the same function"
    return f"it gives the same numbers on the {tried} inputs that were tried"


def _same_numbers(setup: Setup, changed: Setup) -> bool:
    """Whether every layer has the same weights and options, and is driven alike."""
    pairs = [(one, changed.layers[name]) for name, one in setup.layers.items()]
    starts = all(
        one.start.keys() == other.start.keys()
        and all(np.array_equal(one.start[state], other.start[state]) for state in one.start)
        for one, other in pairs
    )
    same = starts and all(
        one.structure == other.structure and _equal(one, other) for one, other in pairs
    )
    return same and all(np.array_equal(x, changed.inputs[name]) for name, x in setup.inputs.items())


def _equal(one: DrivenLayer, other: DrivenLayer) -> bool:
    values = [[option.value for _, option in side.cell.options.items()] for side in (one, other)]
    arrays = [
        (getattr(one.cell.weights, field.name), getattr(other.cell.weights, field.name))
        for field in fields(one.cell.weights)
    ]
    return values[0] == values[1] and all(
        a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in arrays
    )
