"""From a recipe and a reference to an explanation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rnnscope.errors import InputError, OptionError, spell
from rnnscope.explaining.compared.reference import Reference, read_reference
from rnnscope.explaining.compared.subject import Subject, subject_of
from rnnscope.explaining.compared.tolerance import rounding
from rnnscope.explaining.nearest import nearest
from rnnscope.explaining.readings.deviations import Deviation, Reading
from rnnscope.explaining.result import DeviationReport, Explanation, FitReport, NearReport
from rnnscope.explaining.searching.search import Search
from rnnscope.explaining.separating import separate, write_input
from rnnscope.record.planning import plan_recipe
from rnnscope.record.recipes.command_line import run_command
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.states.interface import ReadOptions
from rnnscope.states.operands import Operand

BUDGET = 20.0
"""Seconds of search, unless the user says otherwise."""

MOST_REFERENCE_VALUES = 20_000_000

NOTHING_TO_CHANGE = "Nothing is to be changed: the reference is what rnnscope computes."

Progress = Callable[[str, float], None]


def explain(
    recipe: Recipe,
    reference: Operand,
    *,
    options: ReadOptions | None = None,
    budget: float = BUDGET,
    separate_to: Path | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Find the readings of a model and its input with which it gives a reference.

    Parameters
    ----------
    recipe : Recipe
        The run as rnnscope does it.
    reference : path, StateTrace, array, or mapping of arrays
    options : ReadOptions, optional
        What is known of the reference's format.
    budget : float
        Seconds of search.
    separate_to : Path, optional
        Where to write an input on which readings that fit differ.
    progress : callable, optional
        ``progress(words, part)``: what is searched, and how much of it is done, from 0 to 1.

    Raises
    ------
    InputError
        The reference cannot be read, or fits no result of the model.
    OptionError
        The budget is no positive number.
    """
    _require_budget(budget)
    require_reference_differs(recipe, reference)
    started = time.monotonic()
    with plan_recipe(recipe) as planned:
        return explain_subject(
            subject_of(planned),
            reference,
            options=options,
            budget=budget,
            separate_to=separate_to,
            progress=progress,
            started=started,
        )


def explain_subject(
    subject: Subject,
    reference: Operand,
    *,
    options: ReadOptions | None = None,
    budget: float = BUDGET,
    separate_to: Path | None = None,
    progress: Progress | None = None,
    started: float | None = None,
) -> Explanation:
    """As `explain`, of a model and an input that are ready; `started` is a `time.monotonic`."""
    _require_budget(budget)
    began = time.monotonic() if started is None else started
    read = read_reference(reference, options or ReadOptions(), most_values=MOST_REFERENCE_VALUES)
    search, fits = _searched(subject, read, budget, progress)
    return _explanation(subject, read, search, fits, began, separate_to=separate_to)


def _require_budget(budget: float) -> None:
    if not budget > 0:
        raise OptionError(
            f"{spell('budget')} is no time to search in.",
            expected="seconds, more than 0",
            found=budget,
        )


def _searched(
    subject: Subject, reference: Reference, budget: float, progress: Progress | None
) -> tuple[Search, list[Reading]]:
    """Search with the tolerance of rounding alone; then, for a coarse reference, with its own."""
    own = rounding(subject, reference)
    if reference.rounded in ("float16", "bfloat16"):
        fine = min(own, 1e-5)
        first = Search.of(
            subject, reference, budget=budget / 2, progress=progress, tolerance=fine, most=1
        )
        found = first.run()
        if found:
            return first, found
    search = Search.of(subject, reference, budget=budget, progress=progress, tolerance=own)
    return search, search.run()


def _explanation(
    subject: Subject,
    reference: Reference,
    search: Search,
    fits: Sequence[Reading],
    started: float,
    *,
    separate_to: Path | None,
) -> Explanation:
    recipe = subject.planned.recipe
    notes = _notes(subject, reference, search)
    written = None
    if len(fits) > 1 and subject.front:
        notes.append(
            "no input that tells these readings apart can be written: the recurrent layers read "
            f"more than the input ({subject.front})"
        )
    elif len(fits) > 1:
        separation = separate(fits, subject, search.trials.tolerance)
        if not separation.inputs:
            notes.append("no input that was tried tells these readings apart: for this model they "
                         "are the same")  # fmt: skip
        elif not separation.complete:
            notes.append("no one input that was tried tells all of the readings apart")
        if separate_to is not None and separation.inputs:
            write_input(separate_to, separation.inputs)
            written = str(separate_to)
    elif separate_to is not None:
        notes.append("nothing was written: there are no two readings to tell apart")
    reports = tuple(_fit(reading, recipe) for reading in fits)
    near: tuple[NearReport, ...] = ()
    if not fits:
        plain = [view for view in search.trials.views if view.origin is None]
        near = nearest(search.promising(), plain, subject, search.trials.tolerance)
    view = fits[0].view if fits else search.trials.views[0]
    if view is not None and view.not_compared:
        notes.append(f"not compared, since no result has its shape: {', '.join(view.not_compared)}")
    return Explanation(
        verdict="none" if not reports else "one" if len(reports) == 1 else "several",
        fits=reports,
        nearest=near,
        separating_input=written,
        checkpoint=str(recipe.checkpoint),
        input=str(recipe.input),
        reference=reference.name,
        read_as=_read_as(view.format, view.words) if view is not None and fits else (),
        tolerance=search.trials.tolerance,
        tried=search.trials.tried,
        seconds=time.monotonic() - started,
        complete=search.finished and not search.cut_short,
        notes=tuple(notes),
    )


def _read_as(format_name: str, words: Sequence[str]) -> tuple[str, ...]:
    return (*([format_name] if format_name else []), *words)


def _notes(subject: Subject, reference: Reference, search: Search) -> list[str]:
    notes = []
    if subject.sequences > subject.setup.sequences:
        notes.append(
            f"the first {subject.setup.sequences} of {subject.sequences} sequences were compared"
        )
    if reference.rounded:
        notes.append(f"the reference is rounded to {reference.rounded}: so much counts as equal")
    if not search.finished or search.cut_short:
        notes.append(
            f"the time for the search ended before every reading was tried ({spell('budget')})"
        )
    notes += [f"not read of the reference: {name}" for name in reference.not_read]
    return notes


def _fit(best: Reading, recipe: Recipe) -> FitReport:
    deviations = _ordered(best)
    same = _run_of(recipe, deviations)
    return FitReport(
        tuple(DeviationReport(one.id, one.value) for one in deviations),
        best.error,
        run_command(recipe if same is None else same),
        same is not None,
        " ".join(one.advice for one in deviations) or NOTHING_TO_CHANGE,
    )


def _run_of(recipe: Recipe, deviations: Sequence[Deviation]) -> Recipe | None:
    """The run with which rnnscope computes what a reading does; None where no option does."""
    found = recipe
    for deviation in deviations:
        if deviation.options is None:
            return None
        found = found.reading(deviation.checkpoint or None).with_options(**deviation.options)
    return found


def _ordered(reading: Reading) -> list[Deviation]:
    places = {key: place for place, key in enumerate(reading.key)}
    return sorted(reading.every, key=lambda one: places[one.id, one.value])


def require_reference_differs(recipe: Recipe, reference: Operand) -> None:
    """Refuse a reference that is the checkpoint itself.

    Raises
    ------
    InputError
    """
    if isinstance(reference, (str, Path)) and str(reference) == str(recipe.checkpoint):
        raise InputError(
            "The reference is the checkpoint itself.",
            where=str(reference),
            expected="what another program computed",
        )
