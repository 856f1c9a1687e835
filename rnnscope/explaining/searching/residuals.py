"""How far setups are from a view, value by value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnscope.explaining.compared.comparison import PreparedTarget
from rnnscope.explaining.computing.grouping import groups
from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.computing.simulated import prepared
from rnnscope.explaining.computing.simulation import Results, simulate
from rnnscope.explaining.readings.deviations import Unknown, View
from rnnscope.model.cell import Array

FAR = 1e6
"""Stands for a difference that is no number."""


class _Residuals:
    """Differences of everything that a view says, for each of a stack; a `Watcher`.

    Of the first steps alone, where it is so asked: the others count as equal.
    """

    def __init__(self, view: View, sequences: int, *, transposed: bool, begun: bool) -> None:
        self._begun = begun
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
        if (done is not None) != self._begun:
            return
        for target in self._targets[node]:
            got = results.get(target.key)
            if got is None or got.ndim != target.values.ndim + 1:
                continue
            values, known = target.values, target.known
            if done is not None:
                values, known = values[:, : got.shape[2]], known[:, : got.shape[2]]
            if got.shape[1:] != values.shape:
                continue
            apart = (got - values) / target.scale
            if done is not None:
                shown = done[..., None] & known
                if not shown.any():
                    continue
                apart = np.where(done[..., None], apart, 0.0)
            self.parts.append(apart[:, known])


def residuals(setups: Sequence[Setup], view: View, steps: int | None = None) -> Array | None:
    """Differences (setup, value) from a view, in units of its scales; None if none compare.

    With `steps`, of as many steps of the layers that read the input.
    """
    setups = [prepared(setup) for setup in setups]
    found: list[Array | None] = [None] * len(setups)
    for members in groups(setups):
        first = setups[members[0]]
        sequences = first.timesteps if first.transposed else first.sequences
        watcher = _Residuals(view, sequences, transposed=first.transposed, begun=steps is not None)
        simulate([setups[at] for at in members], watcher, steps)
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


def evaluated(
    setups: Sequence[Setup],
    unknown: Unknown,
    view: View,
    points: Array,
    steps: int | None = None,
) -> Array | None:
    """`residuals` of setups with these numbers of an unknown."""
    changed = [unknown.change(setup, point) for setup, point in zip(setups, points, strict=True)]
    known = [at for at, one in enumerate(changed) if one is not None]
    if not known:
        return None
    found = residuals([one for one in changed if one is not None], view, steps)
    if found is None or len(known) == len(changed):
        return found
    whole = np.full((len(changed), found.shape[1]), FAR)  # what has no meaning fits nothing
    whole[known] = found
    return whole
