"""An input on which readings differ that the one at hand cannot tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.compared.subject import Subject
from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.computing.simulated import results_of
from rnnscope.explaining.readings.deviations import Reading, View
from rnnscope.files.writing.work_folders import work_folder
from rnnscope.model.cell import Array

TRIES = 14
SCALES = (1.0, 4.0, 0.5, 16.0, 64.0, 256.0, 1024.0)
"""Of the inputs that are drawn: gates that stay saturated need large ones to show what they are."""

APART = 100.0
"""Tolerances by which readings have to differ."""

MOST_SEQUENCES, MOST_STEPS = 4, 24


@dataclass(frozen=True, eq=False)
class Separation:
    """An input on which readings differ.

    Attributes
    ----------
    inputs : mapping of str to ndarray
        The arrays of the input on which most pairs of them differ; empty where none do.
    complete : bool
        Whether all of them differ on it.
    """

    inputs: Mapping[str, Array]
    complete: bool


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
    pairs = list(combinations(range(len(readings)), 2))
    best: tuple[int, Mapping[str, Array]] = (0, {})
    for attempt in range(TRIES):
        base, arrays = _another_input(subject, random, attempt)
        made = [_as_reference(reading, base) for reading in readings]
        apart = sum(_differ(made[a], made[b], tolerance * APART) for a, b in pairs)
        if apart > best[0]:
            best = (apart, arrays)
        if apart == len(pairs):
            break
    return Separation(best[1], best[0] == len(pairs))


def _another_input(
    subject: Subject, random: np.random.Generator, attempt: int
) -> tuple[Setup, dict[str, Array]]:
    setup = subject.setup.rows(np.arange(min(subject.setup.sequences, MOST_SEQUENCES)))
    # Another number of steps tells apart what differs in a period.
    sequences, timesteps = setup.sequences, setup.timesteps + attempt % 3
    scale = SCALES[attempt % len(SCALES)]
    arrays: dict[str, Array] = {}
    ids = None
    if subject.embedding is not None and setup.ids is not None:
        table = np.asarray(subject.embedding.table, np.float64)
        arrays["ids"] = ids = random.integers(0, len(table), (sequences, timesteps))
        values = table[ids]
    else:
        width = next(iter(setup.inputs.values())).shape[2]
        drawn = random.standard_normal((sequences, timesteps, width)) * scale
        arrays["inputs"] = drawn.astype(np.float32)
        values = arrays["inputs"].astype(np.float64)
    inputs = dict.fromkeys(setup.inputs, values)  # several read one input
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


def _as_reference(reading: Reading, base: Setup) -> list[Array] | None:
    """What the other side would return under a reading, an array each; NaN where it is not known.

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
    view, ends = _numbered(reading.view, base)
    for deviation in reading.view.deviations:
        looked = None if deviation.look is None else deviation.look(view)
        if looked is None:
            return None
        view = looked
    found = np.full(ends[-1], np.nan)
    for target in view.targets:
        got = results.get(target.node, {}).get(target.key)
        if got is None or got.shape != target.values.shape:
            return None
        known = np.isfinite(target.values)
        found[target.values[known].astype(np.int64)] = got[known]
    return np.split(found, ends[:-1])


def _numbered(view: View, base: Setup) -> tuple[View, list[int]]:
    """The arrays of the reference itself, each value the number of its place; where each ends."""
    targets, at, ends = [], 0, []
    for target in (view.origin or view).targets:
        rows = min(target.values.shape[0], base.sequences)
        steps = (base.timesteps,) if target.values.ndim == 3 else ()
        shape = (rows, *steps, target.values.shape[-1])
        size = int(np.prod(shape))
        numbers = np.arange(at, at + size, dtype=np.float64).reshape(shape)
        targets.append(target.with_values(numbers))
        at += size
        ends.append(at)
    return replace(view, targets=tuple(targets), deviations=()), ends


def _differ(one: list[Array] | None, other: list[Array] | None, limit: float) -> bool:
    """Whether any array is apart by more than so much of its largest value."""
    if one is None or other is None:
        return one is not other
    if [a.shape for a in one] != [b.shape for b in other]:
        return True
    for a, b in zip(one, other, strict=True):
        both = np.isfinite(a) & np.isfinite(b)
        largest = max(np.abs(a[both]).max(initial=0.0), np.abs(b[both]).max(initial=0.0))
        if largest and np.abs(a[both] - b[both]).max(initial=0.0) > limit * largest:
            return True
    return False


def write_input(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write an input that `rnnscope run` takes; a failed write leaves what was there."""
    with work_folder(f".{path.name[:60]}.", ".partial", path.parent) as work:
        whole = work / f"whole{path.suffix}"
        if path.suffix == ".npy":
            np.save(whole, next(iter(arrays.values())))
        else:
            with whole.open("xb") as file:  # by its name numpy would append a suffix
                np.savez(file, **arrays)  # type: ignore[arg-type]
        whole.replace(path)
