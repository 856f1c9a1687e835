"""A run in parts: one recorded alone, and what is reported of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from rnnscope import __version__
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, TraceError, spell, spell_command
from rnnscope.files.remote.addresses import url_of
from rnnscope.record.planning import PlannedRun, plan_recipe
from rnnscope.record.recipe import Recipe
from rnnscope.record.recording import plan_only, record
from rnnscope.record.results import PartReport, RunReport
from rnnscope.record.run_checks import RunChecks
from rnnscope.record.run_digests import read_digests
from rnnscope.record.run_report import planned_report, with_nan_allowed
from rnnscope.record.targets import PartOfRun, Target
from rnnscope.record.trace_headers import run_digest
from rnnscope.running.interface import Progress
from rnnscope.running.prepare import prepare
from rnnscope.trace import check_target
from rnnscope.trace.parts import PartMark, PartPlace
from rnnscope.trace.parts.place import check_folder_name
from rnnscope.trace.stores.naming import is_zarr
from rnnscope.trace.target import check_trace_name

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


def refuse_parts_alone(parts: int | None, dask: str | None) -> None:
    """Refuse a number of parts for a run that nothing divides.

    Raises
    ------
    OptionError
    """
    if parts is not None and dask is None:
        raise OptionError(
            f"{spell('parts')} says into how many parts {spell('dask')} divides a run.",
            where=spell("parts", str(parts)),
            expected=spell("dask", "ADDRESS"),
            found="none",
            hint=f"a single part is {spell('part', 'K/N')}",
        )


def check_joinable(trace: Path) -> None:
    """Refuse a name under which parts cannot be tied: HDF5 ties files that lie beside it.

    Raises
    ------
    TraceError, OptionError
    """
    check_trace_name(trace)
    if is_zarr(trace) or url_of(trace) is not None:
        raise OptionError(
            "Parts are tied by an HDF5 file beside them.",
            where=spell("output", str(trace)),
            expected="a file NAME.h5 in a folder that every part is written to",
            found="a zarr store" if is_zarr(trace) else "an address",
            hint="run into NAME.h5, then: "
            + spell_command("export", "NAME.h5", to="zarr", path="NAME.zarr"),
        )


def refuse_verifying(recipe: Recipe) -> None:
    """Refuse a run in parts that another engine is to verify on the way.

    Raises
    ------
    OptionError
    """
    if recipe["verify"] is not None:
        raise OptionError(
            f"{spell('verify')} is not for runs in parts.",
            expected="a run on one machine",
            found=f"{spell('verify', recipe['verify'])} with {spell('part')} or {spell('dask')}",
            hint="verify the trace when its parts are joined: "
            + spell_command("check", "TRACE", verify=recipe["verify"]),
        )


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


@contextmanager
def parts_folder(folder: Path) -> Iterator[None]:
    """Make the folder of the parts; one that stays empty goes again.

    Raises
    ------
    TraceError
        It cannot be made.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise TraceError(
            "The folder for the parts cannot be made.",
            where=folder,
            expected="permission to create folders",
            found=error.strerror,
            hint=f"name another place with {spell('output')}",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # it is not empty: so it should be
            folder.rmdir()
