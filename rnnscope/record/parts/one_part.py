"""One part of a run, recorded alone or kept as it is; and what is reported of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from rnnscope import __version__
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import TraceError, spell
from rnnscope.record.parts.folders import parts_folder
from rnnscope.record.parts.refusals import check_joinable, refuse_verifying
from rnnscope.record.planning import PlannedRun, plan_recipe
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.recording import plan_only, record
from rnnscope.record.reporting import planned_report, with_nan_allowed
from rnnscope.record.results.run_report import PartReport, RunReport
from rnnscope.record.run_checks import RunChecks
from rnnscope.record.run_digests import read_digests
from rnnscope.record.targets import PartOfRun, Target
from rnnscope.record.trace_headers import run_digest
from rnnscope.running.interface import Progress
from rnnscope.running.prepare import prepare
from rnnscope.trace import check_target
from rnnscope.trace.parts import PartMark, PartPlace
from rnnscope.trace.parts.place import check_folder_name

ShowProgress = Callable[[PlannedRun], AbstractContextManager[Progress | None]]


@dataclass(frozen=True)
class KeptPart:
    """A part that is there, and whole: every number is what it was when it was written.

    Attributes
    ----------
    mark : PartMark
    engine : str
    """

    mark: PartMark
    engine: str


def record_part(
    recipe: Recipe,
    trace: Path,
    part: PartOfRun,
    *,
    force: bool = False,
    resume: bool = False,
    command: str = "",
    workers: int = 0,
    progress: ShowProgress | None = None,
) -> RunReport:
    """Record one part of a run, in the folder of the trace's parts.

    Parameters
    ----------
    recipe : Recipe
    trace : Path
        The trace that the parts will be tied to; it is not written here.
    part : PartOfRun
    force : bool
        Replace the part if it is there.
    resume : bool
        Keep the part if it is there and whole, continue it if it was interrupted, make it again if
        it is damaged.
    command, workers, progress
        As of `rnnscope.record.recording.record`.

    Raises
    ------
    RnnscopeError
        The part could not be recorded; what was there is as it was.
    """
    path = _checked_path(recipe, trace, part)
    if resume and not force and path.exists():
        with plan_recipe(recipe, input_sha256=part.input_sha256) as planned:
            place = part.place(planned.source.sequences)
            run = run_digest(read_digests(planned), __version__, part.recipe or recipe)
            kept = kept_part(path, place, run, part.threads)
            if kept is not None:
                report = report_of_parts(
                    planned, [kept.mark.saved], kept.engine, str(path), command
                )
                return replace(report, part=_part_report(place, kept=True))
    with parts_folder(path.parent):
        target = Target(path, force or resume, resume)
        made = record(
            recipe, target, command=command, workers=workers, progress=progress, part=part
        )
    place = part.place(made.report.input.shape[0])
    return replace(made.report, part=_part_report(place))


def plan_part(
    recipe: Recipe,
    trace: Path,
    part: PartOfRun,
    *,
    force: bool = False,
    resume: bool = False,
    command: str = "",
) -> RunReport:
    """What `record_part` would do, without doing it.

    Raises
    ------
    RnnscopeError
        The part could not be recorded.
    """
    path = _checked_path(recipe, trace, part)
    if path.exists():
        check_target(path, force or resume)
    report = plan_only(recipe, command=command)
    place = part.place(report.input.shape[0])
    whole = report.bytes_of_states or 0
    return replace(
        report,
        trace=str(path),
        part=_part_report(place),
        bytes_of_states=whole * place.count // max(1, place.sequences),
    )


def _checked_path(recipe: Recipe, trace: Path, part: PartOfRun) -> Path:
    """Where a part goes, once it is known that it can be tied there."""
    check_joinable(trace)
    check_target(trace, force=True)  # not written here: its folder has to be there all the same
    refuse_verifying(recipe)
    path = part.path(trace)
    check_folder_name(path.parent)
    return path


def _part_report(place: PartPlace, *, kept: bool = False) -> PartReport:
    return PartReport(place.number, place.of, place.rows.start, place.count, kept)


def kept_part(path: Path, place: PartPlace, run: str, threads: int = 0) -> KeptPart | None:
    """What is there of a part, looked through to the last number; None if it has to be made again.

    It has to where it was made with other `threads`, on which its last bits depend, than all parts
    are made with; 0: nobody says with how many.

    Raises
    ------
    TraceError
        It is a part of another run, which is not replaced without being asked.
    """
    from rnnscope.trace.reader import Trace

    try:
        with Trace.open(path) as found:
            mark, engine = found.part, found.header.engine
            whole = mark is not None and mark.sha256 == found.numbers_sha256()
    except TraceError:
        return None
    if mark is None or (mark.place, mark.run) != (place, run):
        raise TraceError(
            "The part that is there is of another run.",
            where=path,
            expected=f"{place} of this checkpoint, input and options",
            found="no part of a run" if mark is None else f"{mark.place} of others",
            hint=f"name another trace with {spell('output')}, or replace it with {spell('force')}",
        )
    fits = 0 in (threads, mark.threads) or mark.threads == threads
    return KeptPart(mark, engine) if whole and fits else None


def report_of_parts(
    planned: PlannedRun,
    saved: Iterable[str],
    engine: str,
    trace: str,
    command: str,
    *,
    notes: Iterable[str] = (),
) -> RunReport:
    """What a run reports, from what the checks of its parts saved, in their order."""
    checks = RunChecks(prepare(planned.plan, planned.source))
    for text in saved:
        checks.absorb(text)
    report = planned_report(planned, trace, command)
    return replace(
        report,
        findings=with_nan_allowed(planned, checks.findings()),
        padding=tuple(PaddingVerdict(layer, verdict) for layer, verdict in checks.padding()),
        notes=tuple(dict.fromkeys([*report.notes, *notes])),
        engine=engine,
    )
