"""Which reading of the weights gives the numbers of an implementation that is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, RnnscopeError, spell
from rnnscope.explaining.explain import explain_subject
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.record.planning import PlannedRun, plan_recipe
from rnnscope.record.recipes.recipe import Recipe, refuse_execution
from rnnscope.vectors.folder.reading import StoredCase, StoredVectors
from rnnscope.vectors.parts import Part, parts_of
from rnnscope.vectors.result import ExplainedCase, ExplainedReading

SHAPE = "2,3"
"""Of the input with which the model is planned; its numbers mean nothing."""

SHOWN_FITS = 8

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class CaseToExplain:
    """A case that is wrong, and what was computed, by layer and name."""

    case: StoredCase
    arrays: Mapping[tuple[str, str], Array]


def planned_for_vectors(
    stack: ExitStack, checkpoint: Path, options: Mapping[str, object]
) -> PlannedRun:
    """A run of a checkpoint over an input that stands for any; open as long as the stack is.

    Raises
    ------
    RnnscopeError
        The checkpoint cannot be read, or the options do not fit it.
    """
    given: dict[str, Any] = {**options, "random": SHAPE}
    recipe = Recipe.make(checkpoint, "", **given)
    return stack.enter_context(plan_recipe(recipe))


def explain_cases(
    vectors: StoredVectors,
    wrong: Sequence[CaseToExplain],
    *,
    checkpoint: Path | None,
    budget: float,
    progress: Progress | None = None,
) -> tuple[list[ExplainedCase], list[str]]:
    """What `explain` says of the cases that are wrong, and what is to be known beside it.

    Raises
    ------
    InputError
        `checkpoint` is not that of the vectors.
    """
    with ExitStack() as stack:
        planned = _planned(stack, vectors, checkpoint)
        if planned is None:
            hint = spell("checkpoint", vectors.model)
            return [], [f"not explained: the checkpoint '{vectors.model}' is not here ({hint})"]
        parts = {part.layer: part for part in parts_of(planned)[0]}
        until = time.monotonic() + budget
        found: list[ExplainedCase] = []
        notes: list[str] = []
        for layer, cases in _by_layer(wrong).items():
            for one in cases:
                left = until - time.monotonic()
                if left <= 0:
                    words = (f"the time for explaining ended ({spell('explain_budget')})",)
                    found.append(ExplainedCase(one.case.name, "not asked", (), words))
                    break
                found.append(_explained(parts.get(layer), one, left, progress, notes))
                if found[-1].verdict in ("one", "several"):
                    break
        return found, notes


def _by_layer(wrong: Sequence[CaseToExplain]) -> dict[str, list[CaseToExplain]]:
    """The wrong cases of each layer; all layers together only where none alone is wrong.

    The first that were searched come first, on which readings differ; the plain one, of which the
    least can be told, last.
    """
    found: dict[str, list[CaseToExplain]] = {}
    for one in [one for one in wrong if one.case.layer] or wrong:
        found.setdefault(one.case.layer, []).append(one)
    return {
        layer: sorted(cases, key=lambda one: one.case.x.shape[1], reverse=True)[:1]
        + [one for one in cases if one.case.x.shape[1] < cases[-1].case.x.shape[1]]
        for layer, cases in found.items()
    }


def _planned(
    stack: ExitStack, vectors: StoredVectors, checkpoint: Path | None
) -> PlannedRun | None:
    """The checkpoint of the vectors, planned; None where it is in none of the likely places."""
    refuse_execution(Recipe.make(vectors.model, "", **vectors.options), vectors.folder)
    if checkpoint is not None:
        planned = planned_for_vectors(stack, checkpoint, vectors.options)
        if files_sha256(planned.checkpoint.files) != vectors.sha256:
            raise InputError(
                "The checkpoint is not the one of the vectors.",
                where=checkpoint,
                expected=f"the files of '{vectors.model}' with SHA-256 {vectors.sha256[:16]}…",
                found="other bytes",
                hint="write the vectors anew from this checkpoint",
            )
        return planned
    for folder in (vectors.folder, vectors.folder.absolute().parent, Path()):
        place = folder / vectors.model
        try:
            planned = planned_for_vectors(stack, place, vectors.options)
        except (RnnscopeError, OSError):
            continue  # nothing there, or something else
        if files_sha256(planned.checkpoint.files) == vectors.sha256:
            return planned
    return None


def _explained(
    part: Part | None,
    one: CaseToExplain,
    budget: float,
    progress: Progress | None,
    notes: list[str],
) -> ExplainedCase:
    case = one.case
    if part is None:
        return ExplainedCase(case.name, "not asked", (), ("the checkpoint has no such part",))
    lengths = case.lengths if (case.lengths < case.x.shape[1]).any() else None
    initial = None
    if case.layer:
        initial = {name: array for name, array in case.initial.items() if array.any()}
    subject = part.subject(part.with_input(case.x, lengths, initial))
    reference = _reference(part, one)
    without = {name: array for name, array in reference.items() if "gates/" not in name}
    aside = bool(without) and len(without) < len(reference)
    try:
        found = explain_subject(
            subject, reference, budget=budget / (2 if aside else 1), progress=progress
        )
        if found.verdict == "none" and aside:
            # Somebody may show a gate as it is, and make something else of it.
            other = explain_subject(subject, without, budget=budget / 2, progress=progress)
            if other.verdict != "none":
                found = other
                notes.append(
                    f"{case.name}: no reading gives the gates as well; they were left aside"
                )
    except RnnscopeError as error:
        told = [error.what, *(f"{label}: {text}" for label, text in error.parts())]
        return ExplainedCase(case.name, "not asked", (), tuple(told))
    fits = tuple(ExplainedReading(fit.reading, fit.advice) for fit in found.fits[:SHOWN_FITS])
    words = tuple(near for one in found.nearest[:1] for near in one.words)
    return ExplainedCase(case.name, found.verdict, fits, words)


def _reference(part: Part, one: CaseToExplain) -> dict[str, Array]:
    """What was computed under the names that `explain` reads."""
    found = {}
    valid = np.arange(one.case.x.shape[1]) < one.case.lengths[:, None]
    for (layer, name), values in one.arrays.items():
        if not layer:
            continue  # it is the outputs of the last layers again
        gate = name in CELLS[part.setup.layers[layer].cell.kind].gates
        shown = values
        if gate and values.shape[:2] == valid.shape and part.takes_lengths:
            shown = np.where(valid[..., None], values, 0.0)  # past the length they mean nothing
        called = f"gates/{name}" if gate else name
        found[called if one.case.layer else f"{layer}/{called}"] = shown
    return found
