"""An input on which readings differ that the one at hand cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnscope.explaining.deviations import Reading
from rnnscope.explaining.reference import View
from rnnscope.explaining.setup import Setup
from rnnscope.explaining.simulation import results_of
from rnnscope.explaining.subject import Subject
from rnnscope.model.cell import Array

TRIES = 12
APART = 100.0
"""Tolerances by which readings have to differ."""

MOST_SEQUENCES, MOST_STEPS = 4, 24


class Separation:
    """Inputs on which readings are computed, to see which of them differ.

    Attributes
    ----------
    groups : list of list of Reading
        Readings that gave the same on every input that was tried, together.
    inputs : mapping of str to ndarray
        The input on which most of them differ; empty where there is none.
    complete : bool
        Whether one input tells all groups apart.
    """

    def __init__(
        self, groups: list[list[Reading]], inputs: dict[str, Array], *, complete: bool
    ) -> None:
        self.groups = groups
        self.inputs = inputs
        self.complete = complete


def separate(readings: Sequence[Reading], subject: Subject, tolerance: float) -> Separation:
    """Look for an input on which readings differ.

    Parameters
    ----------
    readings : sequence of Reading
    subject : Subject
    tolerance : float
        In units of the largest value of each array.
    """
    random = np.random.default_rng(0)
    same = np.ones((len(readings), len(readings)), bool)
    best: tuple[int, dict[str, Array]] = (0, {})
    for attempt in range(TRIES):
        base, arrays = _another_input(subject, random, attempt)
        made = [_as_reference(reading, base) for reading in readings]
        apart = np.array([[_differ(a, b, tolerance * APART) for b in made] for a in made])
        same &= ~apart
        count = int(apart.sum())
        if count > best[0]:
            best = (count, arrays)
        if count == len(readings) * (len(readings) - 1):
            break
    groups: list[list[Reading]] = []
    placed: dict[int, int] = {}
    for at, reading in enumerate(readings):
        other = next((k for k in range(at) if same[at, k]), None)
        if other is None:
            placed[at] = len(groups)
            groups.append([reading])
        else:
            placed[at] = placed[other]
            groups[placed[at]].append(reading)
    wanted = sum(
        1 for a in range(len(readings)) for b in range(len(readings)) if placed[a] != placed[b]
    )
    return Separation(groups, best[1] if best[0] else {}, complete=best[0] >= wanted)


def _another_input(
    subject: Subject, random: np.random.Generator, attempt: int
) -> tuple[Setup, dict[str, Array]]:
    setup = subject.setup.rows(np.arange(min(subject.setup.sequences, MOST_SEQUENCES)))
    sequences, timesteps = setup.sequences, setup.timesteps
    scale = (1.0, 2.0, 0.5, 4.0)[attempt % 4]
    arrays: dict[str, Array] = {}
    inputs = {}
    ids = None
    for name, x in setup.inputs.items():
        if subject.embedding is not None and setup.ids is not None:
            table = np.asarray(subject.embedding.table, np.float64)
            ids = random.integers(0, len(table), (sequences, timesteps))
            arrays["ids"] = ids
            inputs[name] = table[ids]
        else:
            drawn = (random.standard_normal(x.shape) * scale).astype(np.float32)
            arrays["inputs"] = drawn
            inputs[name] = drawn.astype(np.float64)
    mask = None
    if setup.mask is not None:
        low = max(1, timesteps // 3)
        lengths = random.integers(low, timesteps + 1, sequences)
        lengths[0] = timesteps
        if sequences > 1:
            lengths[1] = low
        arrays["lengths"] = lengths
        mask = np.arange(timesteps) < lengths[:, None]
    return replace(setup, inputs=inputs, mask=mask, ids=ids), arrays


def _as_reference(reading: Reading, base: Setup) -> Array | None:
    """What the other side would return under a reading, NaN where that is not known.

    A view's looks are followed backwards by the place of each value: the reference's arrays are
    filled with numbers of their places, looked at, and the results are put where these say.
    """
    setup: Setup | None = base
    for deviation in reading.deviations:
        setup = None if setup is None or deviation.change is None else deviation.change(setup)
    if setup is None or reading.view is None:
        return None
    transposed = setup.transposed
    results = results_of(
        setup, (lambda a: a.swapaxes(0, 1) if a.ndim == 3 else a) if transposed else None
    )
    view, size = _numbered(reading.view, base)
    for deviation in reading.view.deviations:
        looked = None if deviation.look is None else deviation.look(view)
        if looked is None:
            return None
        view = looked
    found = np.full(size, np.nan)
    for target in view.targets:
        got = results.get(target.node, {}).get(target.key)
        if got is None or got.shape != target.values.shape:
            return None
        known = np.isfinite(target.values)
        found[target.values[known].astype(np.int64)] = got[known] / max(
            float(np.abs(got).max()), 1e-300
        )
    return found


def _numbered(view: View, base: Setup) -> tuple[View, int]:
    """The arrays of the reference itself, each value the number of its place."""
    targets, at = [], 0
    for target in (view.origin or view).targets:
        shape = (min(target.values.shape[0], base.sequences), *target.values.shape[1:])
        size = int(np.prod(shape))
        numbers = np.arange(at, at + size, dtype=np.float64).reshape(shape)
        targets.append(target.with_values(numbers))
        at += size
    return replace(view, targets=tuple(targets), deviations=()), at


def _differ(a: Array | None, b: Array | None, limit: float) -> bool:
    if a is b:
        return False
    if a is None or b is None or a.shape != b.shape:
        return True
    both = np.isfinite(a) & np.isfinite(b)
    return bool(both.any() and np.abs(a[both] - b[both]).max() > limit)


def write_input(path: Path, arrays: dict[str, Array]) -> None:
    """Write an input that `rnnscope run` takes; a failed write leaves what was there."""
    partial = path.with_name(f".{path.name}.partial.npz")
    try:
        if path.suffix == ".npy":
            with partial.open("wb") as file:
                np.save(file, next(iter(arrays.values())))
        else:
            np.savez(partial, **arrays)  # type: ignore[arg-type]
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
