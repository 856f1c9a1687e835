"""Solving for the numbers of an unknown: damped least squares over what the reference says.

Many setups are solved side by side, so that what they compute is computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rnnscope.explaining.comparison import PreparedTarget
from rnnscope.explaining.deviations import Unknown, View
from rnnscope.explaining.setup import Setup
from rnnscope.explaining.simulation import Results, groups, prepared, simulate
from rnnscope.model.cell import Array
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer

MOST_STEPS = 20
EARLY_STEPS = (1, 3)
"""Steps that numbers are solved on before the whole: the first tells most, for little."""

NEAR_ENOUGH = 1e-3
"""A difference, in units of the largest value, with which the first steps may leave the rest."""

SETTLED_AFTER, SETTLED = 3, 0.9
"""Turns after which numbers are given up that hardly come nearer, and what counts as hardly."""

VALUES_PER_NUMBER = 4
"""Values that a reference has to have for each number that is solved for."""

FAR = 1e6
"""Stands for a difference that is no number."""

DAMPINGS = (0.01, 1.0, 100.0)
"""Factors of the last damping that are tried at once."""


class _Residuals:
    """Differences of everything that a view says, for each of a stack; a `Watcher`."""

    def __init__(self, view: View, sequences: int, *, transposed: bool) -> None:
        self._targets: dict[str, list[PreparedTarget]] = {}
        for target in view.targets:
            made = PreparedTarget(target, sequences, transposed=transposed)
            self._targets.setdefault(target.node, []).append(made)
        self.parts: list[Array] = []

    def watches(self, node: str) -> bool:
        return node in self._targets

    def wants(self, node: str, key: str) -> bool:
        return any(key in target.key for target in self._targets.get(node, ()))

    def see(self, node: str, results: Results, done: Array | None) -> None:
        if done is not None:
            return
        for target in self._targets[node]:
            got = results.get(target.key)
            if got is None or got.shape[1:] != target.values.shape:
                continue
            apart = (got - target.values) / target.scale
            self.parts.append(apart[:, target.known])


def residuals(setups: Sequence[Setup], view: View) -> Array | None:
    """Differences (setup, value) from a view, in units of its scales; None if none compare."""
    setups = [prepared(setup) for setup in setups]
    found: list[Array | None] = [None] * len(setups)
    for members in groups(setups):
        first = setups[members[0]]
        sequences = first.timesteps if first.transposed else first.sequences
        watcher = _Residuals(view, sequences, transposed=first.transposed)
        simulate([setups[at] for at in members], watcher)
        if not watcher.parts:
            continue
        whole = np.concatenate(watcher.parts, axis=1)
        for place, at in enumerate(members):
            found[at] = whole[place]
    size = max((len(row) for row in found if row is not None), default=0)
    if not size:
        return None
    # A setup that gives results of other shapes fits nothing.
    made = np.full((len(setups), size), FAR)
    for at, row in enumerate(found):
        if row is not None and len(row) == size:
            made[at] = np.where(np.isfinite(row), row, FAR)
    return made


def affects_first_step(setup: Setup, unknown: Unknown, view: View) -> bool | None:
    """Whether an unknown changes what the first step gives; None where a view does not say it."""
    early, cut = _first_steps(view, 1, setup), setup.first_steps(1)
    if early is None or cut is None:
        return None
    two = [unknown.change(cut, start) for start in _two(unknown)]
    if None in two:
        return None
    found = residuals([one for one in two if one is not None], early)
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
    if steps is None:
        part: View | None = view
        cut = {at: setups[at] for at in numbers}
        limit = tolerance
    else:
        part = _first_steps(view, steps, next(setups[at] for at in numbers))
        first = {at: setups[at].first_steps(steps) for at in numbers}
        cut = {at: setup for at, setup in first.items() if setup is not None}
        limit = NEAR_ENOUGH
    if part is None or len(cut) < len(numbers):
        return numbers
    places = list(numbers)
    solved = _least_squares(
        [cut[at] for at in places],
        unknown,
        part,
        np.stack([numbers[at] for at in places]),
        limit,
        whole=steps is None,
    )
    return {} if solved is None else {
        at: row for at, row in zip(places, solved, strict=True) if np.isfinite(row).all()
    }  # fmt: skip


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


def _least_squares(
    setups: Sequence[Setup],
    unknown: Unknown,
    view: View,
    start: Array,
    limit: float,
    *,
    whole: bool,
) -> Array | None:
    """Numbers by Levenberg and Marquardt's method, (setup, number); NaN where none fit.

    Where a first evaluation shows that what the unknown does not reach is beyond the limit, it is
    given up at once.
    """
    numbers = start.copy()
    size = numbers.shape[1]
    damping = np.full(len(setups), 1e-3)
    current = _evaluated(setups, unknown, view, numbers)
    if current is None:
        return None
    going = np.ones(len(setups), bool)
    hopeless = np.zeros(len(setups), bool)
    for turn in range(MOST_STEPS):
        at = np.flatnonzero(going)
        if not len(at):
            break
        steps = 1e-6 * np.maximum(np.abs(numbers[at]), 1e-2)
        nearby = numbers[at][:, None] + np.eye(size)[None] * steps[:, :, None]
        around = _evaluated(
            [setups[int(k)] for k in np.repeat(at, size)], unknown, view, nearby.reshape(-1, size)
        )
        if around is None:
            return None
        slope = (around.reshape(len(at), size, -1) - current[at][:, None]) / steps[:, :, None]
        if turn == 0:
            reached = (np.abs(slope) > 0).any(axis=1)
            beyond = np.where(reached, 0.0, np.abs(current[at])).max(axis=1, initial=0.0) > limit
            hopeless[at[beyond]] = True
            beyond |= ~reached.any(axis=1)  # the steps at hand do not show it
            going[at[beyond]] = False
            at, slope = at[~beyond], slope[~beyond]
            if not len(at):
                break
        with np.errstate(all="ignore"):
            square = slope @ slope.transpose(0, 2, 1)
            gradient = (slope @ current[at][:, :, None])[:, :, 0]
        diagonal = np.maximum(np.einsum("kii->ki", square), 1e-12)
        trials = np.stack(
            [
                numbers[at] - _solved(square, diagonal * (factor * damping[at])[:, None], gradient)
                for factor in DAMPINGS
            ],
            axis=1,
        )
        tried = _evaluated(
            [setups[int(k)] for k in np.repeat(at, len(DAMPINGS))], unknown, view,
            trials.reshape(-1, size),
        )  # fmt: skip
        if tried is None:
            return None
        tried = tried.reshape(len(at), len(DAMPINGS), -1)
        sums = np.square(tried).sum(axis=2)
        best = sums.argmin(axis=1)
        rows = np.arange(len(at))
        before = np.square(current[at]).sum(axis=1)
        better = sums[rows, best] < before * (1 - 1e-6)
        if turn >= SETTLED_AFTER:
            far = np.abs(current[at]).max(axis=1, initial=0.0) > 10 * limit
            better &= ~(far & (sums[rows, best] > before * SETTLED))
        going[at[~better]] = False
        moved, rows, best = at[better], rows[better], best[better]
        numbers[moved] = trials[rows, best]
        current[moved] = tried[rows, best]
        damping[moved] = np.clip(damping[moved] * np.array(DAMPINGS)[best], 1e-9, 1e6)
        going[moved] = np.abs(current[moved]).max(axis=1, initial=0.0) > limit * 0.1
    fits = (np.abs(current).max(axis=1, initial=0.0) <= limit) & ~hopeless
    if whole:
        fits &= _matters(setups, unknown, view, numbers, current, limit)
    numbers[~fits] = np.nan
    kept: Array = numbers
    return kept


def _matters(
    setups: Sequence[Setup],
    unknown: Unknown,
    view: View,
    numbers: Array,
    current: Array,
    limit: float,
) -> Array:
    """Whether another first number would be seen: a bound that nothing reaches is no bound."""
    other = numbers.copy()
    other[:, 0] += np.maximum(np.abs(other[:, 0]) * 0.02, 1e-3)
    found = _evaluated(setups, unknown, view, other)
    if found is None:
        return np.ones(len(setups), bool)
    seen: Array = np.abs(found - current).max(axis=1, initial=0.0) > min(limit, 1e-6)
    return seen


def _solved(square: Array, added: Array, gradient: Array) -> Array:
    """The step of each of a stack; none where a system is no longer of finite numbers."""
    identity = np.eye(square.shape[-1])
    with np.errstate(all="ignore"):
        system = square + added[:, :, None] * identity
        bad = ~np.isfinite(system.sum(axis=(1, 2)) + gradient.sum(axis=1))
        system[bad], gradient = identity, np.where(bad[:, None], 0.0, gradient)
        try:
            step: Array = np.linalg.solve(system, gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            return np.zeros_like(gradient)
    return np.where(np.isfinite(step), step, 0.0)


def _evaluated(
    setups: Sequence[Setup], unknown: Unknown, view: View, points: Array
) -> Array | None:
    changed = [unknown.change(setup, point) for setup, point in zip(setups, points, strict=True)]
    known = [at for at, one in enumerate(changed) if one is not None]
    found = residuals([one for one in changed if one is not None], view) if known else None
    if found is None or len(known) == len(changed):
        return found
    whole = np.full((len(changed), found.shape[1]), FAR)  # what has no meaning fits nothing
    whole[known] = found
    return whole


def _short(setup: Setup, unknown: Unknown, view: View, numbers: Array, tolerance: float) -> Array:
    """The numbers with few digits, where these fit as well."""
    if len(numbers) > 2:
        return numbers
    for digits in (1, 2, 3, 4):
        rounded = np.array([float(f"{number:.{digits}g}") for number in numbers])
        if np.abs(rounded - numbers).max() > 1e-3 * max(np.abs(numbers).max(), 1e-3):
            continue
        found = _evaluated([setup], unknown, view, rounded[None])
        if found is not None and np.abs(found).max(initial=0.0) <= tolerance:
            return rounded
    return numbers
