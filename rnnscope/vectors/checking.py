"""What an implementation computed, held to vectors: which value is first wrong, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.vectors.explained import CaseToExplain, explain_cases
from rnnscope.vectors.folder.reading import (
    StoredArray,
    StoredCase,
    StoredLayer,
    read_vectors,
)
from rnnscope.vectors.folder.theirs import TheirArrays, read_theirs
from rnnscope.vectors.result import (
    CheckedCase,
    ExplainedCase,
    ExplainedReading,
    FirstWrong,
    VectorsCheck,
)

BUDGET = 20.0
"""Seconds for explaining, over all cases."""

SHOWN_NAMES = 8


def check_vectors(
    folder: Path,
    theirs: Any,
    *,
    checkpoint: Path | None = None,
    budget: float = BUDGET,
    progress: Any = None,
) -> VectorsCheck:
    """Hold what an implementation computed to a folder of vectors.

    Parameters
    ----------
    folder : Path
        What `rnnscope.vectors` wrote.
    theirs : str, path, or mapping
        As of `read_theirs`.
    checkpoint : Path, optional
        The checkpoint of the vectors, for explaining; None: looked for beside them and here.
    budget : float
        Seconds for explaining what is wrong; 0: nothing is explained.
    progress : callable, optional
        ``progress(words, part)``.

    Raises
    ------
    InputError
        Either cannot be read, or the checkpoint is another one.
    """
    vectors = read_vectors(folder)
    found = read_theirs(theirs, vectors)
    checked, wrong = [], []
    for case in vectors.cases:
        own = {
            (one.layer, one.name): found.arrays[key]
            for one in case.arrays
            if (key := (case.name, "" if case.layer else one.layer, one.name)) in found.arrays
        }
        result = _checked(case, own, vectors.layers)
        checked.append(result)
        if result.status == "fail":
            wrong.append(CaseToExplain(case, own))
    explained: list[ExplainedCase] = []
    notes = _notes(found)
    if wrong and budget > 0:
        explained, more = explain_cases(
            vectors, wrong, checkpoint=checkpoint, budget=budget, progress=progress
        )
        notes += more
    return VectorsCheck(
        vectors=str(folder),
        theirs=found.name,
        status=_status(checked),
        tolerance=vectors.tolerance,
        cases=tuple(checked),
        explained=tuple(explained),
        agreed=_agreed([one.fits for one in explained if one.verdict != "not asked"]),
        notes=tuple(notes),
    )


def _status(cases: Sequence[CheckedCase]) -> Literal["pass", "fail", "skip"]:
    found = {case.status for case in cases}
    return "fail" if "fail" in found else "pass" if "pass" in found else "skip"


def _notes(found: TheirArrays) -> list[str]:
    if not found.not_read:
        return []
    shown = ", ".join(found.not_read[:SHOWN_NAMES])
    more = len(found.not_read) - SHOWN_NAMES
    return [f"not read, since no case has it: {shown}" + (f" and {more} more" if more > 0 else "")]


def _agreed(fits: Sequence[Sequence[ExplainedReading]]) -> tuple[ExplainedReading, ...]:
    """The readings that fit every case; of numbers that were solved for, their words agree."""
    if not fits:
        return ()
    return tuple(
        one for one in fits[0]
        if all(any(one.reading == other.reading for other in rest) for rest in fits[1:])
    )  # fmt: skip


def _checked(
    case: StoredCase, own: Mapping[tuple[str, str], Array], layers: Mapping[str, StoredLayer]
) -> CheckedCase:
    compared, wrong, missing, misshapen = [], [], [], []
    first: tuple[tuple[int, ...], FirstWrong] | None = None
    order = {name: at for at, name in enumerate(dict.fromkeys(one.layer for one in case.arrays))}
    for place, array in enumerate(case.arrays):
        called = array.name if case.layer or not array.layer else f"{array.layer}/{array.name}"
        values = own.get((array.layer, array.name))
        if values is None:
            missing.append(called)
            continue
        if values.shape != array.values.shape:
            shapes = " x ".join(map(str, values.shape)), " x ".join(map(str, array.values.shape))
            misshapen.append(f"{called} is {shapes[0]}, expected {shapes[1]}")
            continue
        compared.append(called)
        layer = layers.get(array.layer)
        found = _first_of(case, array, layer, values)
        if found is None:
            continue
        wrong.append(called)
        step, worst = found
        rank = (order[array.layer], step, place)
        if first is None or rank < first[0]:
            first = rank, worst
    bad = bool(wrong or misshapen)
    return CheckedCase(
        name=case.name,
        layer=case.layer,
        status="fail" if bad else "pass" if compared else "skip",
        compared=tuple(compared),
        wrong=tuple(wrong),
        missing=tuple(missing),
        misshapen=tuple(misshapen),
        first_wrong=None if first is None else first[1],
    )


def _first_of(
    case: StoredCase, array: StoredArray, layer: StoredLayer | None, values: Array
) -> tuple[int, FirstWrong] | None:
    """The first value of an array that is wrong, with the step at which it is computed."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(values - array.values)
    wrong = ~(apart <= array.limit)  # so that NaN is wrong
    over_time = array.values.ndim == 3
    timesteps = case.x.shape[1]
    if over_time and layer is not None and layer.heeds_lengths and array.name in layer.gates:
        # Gates of steps that do not count mean nothing.
        wrong &= (np.arange(timesteps) < case.lengths[:, None])[..., None]
    if not wrong.any():
        return None
    places = np.argwhere(wrong)
    if over_time:
        steps = _steps(case, array, layer)[places[:, 0], places[:, 1]]
    else:
        steps = np.full(len(places), timesteps)
    at = np.lexsort((*places.T[::-1], steps))[0]
    where = tuple(places[at])
    return int(steps[at]), FirstWrong(
        layer=array.layer,
        array=array.name,
        sequence=int(where[0]),
        timestep=int(where[1]) if over_time else -1,
        unit=int(where[-1]),
        expected=float(array.values[where]),
        got=float(values[where]),
        tolerances=float(apart[where] / array.limit),
    )


def _steps(case: StoredCase, array: StoredArray, layer: StoredLayer | None) -> Array:
    """Which step of its sequence each timestep is, (sequence, timestep)."""
    sequences, timesteps, _ = case.x.shape
    steps = np.arange(timesteps)
    forward = np.broadcast_to(steps, (sequences, timesteps))
    if layer is None or layer.options["direction"] != "backward":
        return forward
    if array.name == "outputs" and not layer.options["outputs_in_input_order"]:
        return forward
    if layer.options["reversal"] == "whole" or not layer.heeds_lengths:
        return forward[:, ::-1]
    lengths = case.lengths[:, None]
    turned: Array = np.where(steps < lengths, lengths - 1 - steps, steps)
    return turned
