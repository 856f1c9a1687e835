"""Solving for the numbers of an unknown: on the first steps of a reference, then on all.

Many setups are solved side by side, so that what they compute is computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.readings.deviations import Unknown, View
from rnnscope.explaining.searching.least_squares import least_squares
from rnnscope.explaining.searching.residuals import evaluated, residuals
from rnnscope.model.cell import Array
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer

EARLY_STEPS = (1, 3)
"""Steps that numbers are solved on before the whole: the first tells most, for little."""

NEAR_ENOUGH = 1e-3
"""A difference, in units of the largest value, with which the first steps may leave the rest."""

VALUES_PER_NUMBER = 4
"""Values that a reference has to have for each number that is solved for."""


def affects_first_step(setup: Setup, unknown: Unknown, view: View) -> bool | None:
    """Whether an unknown changes what the first step gives; None where a view does not say it."""
    early, cut = _first_steps(view, 1, setup), setup.first_steps(1)
    steps = None
    if early is None or cut is None:
        early, cut, steps = view, setup, 1
    two = [unknown.change(cut, start) for start in _two(unknown)]
    if None in two:
        return None
    found = residuals([one for one in two if one is not None], early, steps)
    return None if found is None else bool(np.abs(found[0] - found[1]).max(initial=0.0) > 0)


def _two(unknown: Unknown) -> tuple[Sequence[float], Sequence[float]]:
    first = unknown.starts[0]
    return first, [number * 1.5 + 0.1 for number in first]


def solve(
    setups: Sequence[Setup],
    unknown: Unknown,
    view: View,
    tolerance: float,
    check_time: Callable[[], None],
) -> dict[int, tuple[float, ...]]:
    """The numbers of an unknown with which setups fit a view.

    Parameters
    ----------
    setups : sequence of Setup
        Of as many sequences.
    unknown : Unknown
    view : View
    tolerance : float
        In units of each array's largest value.
    check_time : callable
        May end the search by an exception.

    Returns
    -------
    dict of int to tuple of float
        By place, for those that can be made to fit; rounded to few digits where these do as well.
    """
    found: dict[int, tuple[float, ...]] = {}
    said = sum(int(np.isfinite(target.values).sum()) for target in view.targets)
    if said < VALUES_PER_NUMBER * len(unknown.starts[0]):
        return found  # so few values are given by any numbers
    for start in unknown.starts:
        left = [at for at in range(len(setups)) if at not in found]
        numbers = {at: np.array(start, np.float64) for at in left}
        for steps in (*EARLY_STEPS, None):
            if not numbers:
                break
            check_time()
            numbers = _stage(setups, unknown, view, numbers, steps, tolerance)
        for at, solved in numbers.items():
            short = _short(setups[at], unknown, view, solved, tolerance)
            found[at] = tuple(float(number) for number in short)
    return found


def _stage(
    setups: Sequence[Setup],
    unknown: Unknown,
    view: View,
    numbers: dict[int, Array],
    steps: int | None,
    tolerance: float,
) -> dict[int, Array]:
    """Solve on the first steps, or on all; those that go on."""
    places = list(numbers)
    part, cut, begun = view, [setups[at] for at in places], None
    if steps is not None:
        first = [setup.first_steps(steps) for setup in cut]
        early = _first_steps(view, steps, cut[0])
        if early is None or None in first:
            begun = steps  # a backward layer begins at the end: no cut of the input has both
        else:
            part, cut = early, [setup for setup in first if setup is not None]
    solved = least_squares(
        cut,
        unknown,
        part,
        np.stack([numbers[at] for at in places]),
        tolerance if steps is None else NEAR_ENOUGH,
        whole=steps is None,
        steps=begun,
    )
    if solved is None:
        return numbers if begun else {}
    return {at: row for at, row in zip(places, solved, strict=True) if np.isfinite(row).all()}


def _first_steps(view: View, steps: int, setup: Setup) -> View | None:
    """The view of the first steps alone; None where it says nothing of them."""
    network = Network((), setup.nodes)
    targets = []
    for target in view.targets:
        if target.values.ndim == 3 and target.values.shape[1] > steps:
            values = target.values[:, :steps]
            if np.isfinite(values).any() and _goes_step_by_step(network, target.node):
                targets.append(target.with_values(values))
    return replace(view, targets=tuple(targets)) if targets else None


def _goes_step_by_step(network: Network, name: str) -> bool:
    """Whether the first steps of a result are made of first steps: no softmax over time, say."""
    nodes = (network.by_name.get(one) for one in network.upstream_of([name]))
    layers = [node.layer for node in nodes if node is not None]
    return all(isinstance(one, RecurrentLayer) or one.step_by_step for one in layers)


def _short(setup: Setup, unknown: Unknown, view: View, numbers: Array, tolerance: float) -> Array:
    """The numbers with few digits, where these fit as well."""
    if len(numbers) > 2:
        return numbers
    for digits in (1, 2, 3, 4):
        rounded = np.array([float(f"{number:.{digits}g}") for number in numbers])
        if np.abs(rounded - numbers).max() > 1e-3 * max(np.abs(numbers).max(), 1e-3):
            continue
        found = evaluated([setup], unknown, view, rounded[None])
        if found is not None and np.abs(found).max(initial=0.0) <= tolerance:
            return rounded
    return numbers
