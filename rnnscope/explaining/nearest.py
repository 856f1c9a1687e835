"""Where no reading fits: how far the nearest agree, and what is first wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rnnscope.explaining.compared.subject import Subject
from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.computing.simulated import results_of
from rnnscope.explaining.readings.deviations import Reading, Target, View
from rnnscope.explaining.result import DeviationReport, NearReport
from rnnscope.model.cell import Array

MOST_NEAR = 3
LISTED = 6
MOST_WORDS = 8


def nearest(
    readings: Sequence[Reading], views: Sequence[View], subject: Subject, tolerance: float
) -> tuple[NearReport, ...]:
    """Reports on the readings with which most of the reference agrees.

    Parameters
    ----------
    readings : sequence of Reading
        Over all sequences.
    views : sequence of View
        Without deviations.
    subject : Subject
    tolerance : float
        In units of the largest value of each array.
    """
    found = []
    for reading in readings:
        results = results_of(reading.setup, _turned_back(reading.setup))
        best = max(
            (_near(reading, view, results, subject, tolerance) for view in views),
            key=lambda one: (one.agreeing, -one.error),
        )
        found.append(best)
    found.sort(key=lambda one: (-one.agreeing, one.error))
    some = [one for one in found if one.agreeing > 0.02]
    return tuple((some or found)[:MOST_NEAR])


def _turned_back(setup: Setup) -> Callable[[Array], Array] | None:
    if not setup.transposed:
        return None
    return lambda array: array.swapaxes(0, 1) if array.ndim == 3 else array


def _near(
    reading: Reading,
    view: View,
    results: dict[str, dict[str, Array]],
    subject: Subject,
    tolerance: float,
) -> NearReport:
    good: list[tuple[Target, Array, Array]] = []
    error = 0.0
    for target in view.targets:
        got = results.get(target.node, {}).get(target.key)
        known = np.isfinite(target.values)
        if got is None or got.shape != target.values.shape:
            good.append((target, known, np.zeros(target.values.shape, bool)))
            error = np.inf
            continue
        apart = np.abs(got - np.where(known, target.values, got)) / target.scale
        apart[~np.isfinite(apart)] = np.inf
        error = max(error, float(apart.max(initial=0.0)))
        good.append((target, known, apart <= tolerance))
    total = sum(int(known.sum()) for _, known, _ in good)
    agreeing = sum(int((fine & known).sum()) for _, known, fine in good) / max(total, 1)
    return NearReport(
        tuple(DeviationReport(one.id, one.value) for one in reading.deviations),
        agreeing,
        error,
        _fewest(list(_words(good, subject, error))),
    )


def _fewest(words: list[str]) -> tuple[str, ...]:
    """The first sentences, and how many there are beside them."""
    if len(words) <= MOST_WORDS:
        return tuple(words)
    return (*words[: MOST_WORDS - 1], f"and {len(words) - MOST_WORDS + 1} more such differences")


def _words(
    good: Sequence[tuple[Target, Array, Array]], subject: Subject, error: float
) -> Iterator[str]:
    if error < 1e-2 and np.isfinite(error):
        yield f"everything agrees within {error:.1e}, as with approximations or fewer digits"
    whole = [target for target, known, fine in good if not (known & ~fine).any()]
    wrong = [entry for entry in good if (entry[1] & ~entry[2]).any()]
    if whole:
        names = ", ".join(_name(target) for target in whole)
        yield f"{names} agree" if len(whole) > 1 else f"{names} agrees"
    states = {target.key for target in whole}, {target.key for target, _, _ in wrong}
    if "c" in states[0] and states[1] <= {"m", "outputs", "value", "final/m"} and states[1]:
        yield "c agrees, m does not: look behind c, at the output gate and the activation of c"
    for target, known, fine in wrong:
        bad = known & ~fine
        if target.values.ndim == 3:
            yield from _steps(target, known, bad, subject)
        else:
            rows = np.flatnonzero(bad.any(axis=1))
            yield f"{_name(target)}: {_listed('sequence', rows, len(bad))} {_differ(rows)}"


def _steps(target: Target, known: Array, bad: Array, subject: Subject) -> Iterator[str]:
    name = _name(target)
    rows = np.flatnonzero(np.any(bad, axis=(1, 2)))
    if len(rows) < np.count_nonzero(np.any(known, axis=(1, 2))):
        yield f"{name}: {_listed('sequence', rows, len(bad))} {_differ(rows)}, the others agree"
    units = np.flatnonzero(np.any(bad, axis=(0, 1)))
    if len(units) < bad.shape[2]:
        yield f"{name}: {_listed('unit', units, bad.shape[2])} {_differ(units)}, the others agree"
    driven = subject.setup.layers.get(target.node)
    backward = driven is not None and driven.layer.backward.value
    wrong_steps: Array = np.any(bad, axis=2)
    steps = wrong_steps[rows]
    first = steps.shape[1] - 1 - steps[:, ::-1].argmax(axis=1) if backward else steps.argmax(axis=1)
    lengths = subject.setup.lengths
    at, row = int(first.min()), int(rows[first.argmin()])
    if backward:
        at, row = int(first.max()), int(rows[first.argmax()])
    if lengths is not None and (first == lengths[rows]).all():
        yield f"{name}: every valid step agrees; what differs begins with the padding"
        return
    agreed: Array = np.any(known, axis=(0, 2)) & ~np.any(bad, axis=(0, 2))
    before = agreed[at + 1 :] if backward else agreed[:at]
    place = f"sequence {row}, unit {int(np.flatnonzero(bad[row, at])[0])}"
    if before.any():
        way = "from the end down to" if backward else "to"
        stop = at + 1 if backward else at - 1
        yield f"{name}: agrees {way} timestep {stop}; the first that differs is {at} ({place})"
    else:
        yield f"{name}: differs from its first step on (timestep {at}, {place})"
    some = np.flatnonzero(agreed)
    if len(some) and not before.any():
        verb = "agrees" if len(some) == 1 else "agree"
        yield f"{name}: {_listed('timestep', some, bad.shape[1])} {verb}"


def _differ(places: Array) -> str:
    return "differs" if len(places) == 1 else "differ"


def _name(target: Target) -> str:
    key = "" if target.key == "value" else f" {target.key}"
    return f"{target.node}{key}"


def _listed(what: str, places: Array, total: int) -> str:
    if len(places) == total:
        return f"all {what}s"
    shown = ", ".join(map(str, places[:LISTED])) + (", …" if len(places) > LISTED else "")
    return f"{what} {shown}" if len(places) == 1 else f"{what}s {shown}"
