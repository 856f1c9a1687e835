"""A case of a suite, done: its checkpoint is run, the trace checked, the golden one compared."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from rnnscope.checks.result import Subject
from rnnscope.comparing import DiffResult, DiffSettings, diff_states
from rnnscope.comparing.wording import details, headline
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, RnnscopeError, spell
from rnnscope.files.writing.work_folders import work_folder
from rnnscope.record.checking.trace_checks import RECOMPUTED, Comparison, check_trace, picture_path
from rnnscope.record.recording import record
from rnnscope.record.replaying.replayed_recipe import Replay
from rnnscope.record.suites.suite_file import Case
from rnnscope.record.targets import Target
from rnnscope.states.interface import ReadOptions
from rnnscope.states.recognise import recognise


@dataclass(frozen=True)
class CaseSettings:
    """How cases are done.

    Attributes
    ----------
    update_golden : bool
    workers : int
        Threads of each case that compute at once; 0: as many as its recipe says.
    command : str
        Kept in the traces.
    pictures : Path or None
        A folder for pictures of where a case parts first from its golden trace.
    """

    update_golden: bool = False
    workers: int = 0
    command: str = ""
    pictures: Path | None = None


def do_case(case: Case, settings: CaseSettings | None = None) -> Subject:
    """Run and check a case; what goes wrong is in the subject."""
    started = time.perf_counter()
    settings = settings or CaseSettings()
    try:
        subject = _do(case, settings)
    except RnnscopeError as error:
        subject = Subject(name=case.name, error=error.describe())
    return replace(subject, name=case.name, seconds=time.perf_counter() - started)


def _do(case: Case, settings: CaseSettings) -> Subject:
    golden = case.golden
    if golden is not None and not golden.exists() and not settings.update_golden:
        raise OptionError(
            "The golden trace of the case is not there.",
            where=golden,
            hint=f"write it with {spell('update_golden')}, and keep it with the suite",
        )
    folder = None if golden is None else golden.parent
    if folder is not None and settings.update_golden:
        folder.mkdir(parents=True, exist_ok=True)
    # Beside the golden trace, so that it can take its place in one step.
    near = folder if settings.update_golden else None
    with work_folder(".rnnscope-suite-", place=near) as temporary:
        trace = temporary / "trace.h5"
        recording = record(
            case.recipe,
            Target(trace, force=True),
            command=settings.command,
            workers=settings.workers,
        )
        compared = None if settings.update_golden else golden
        subject = check_trace(trace, case.settings, _comparison(case, compared, settings))
        subject = replace(subject, notes=(*recording.report.notes, *subject.notes))
        if golden is not None and settings.update_golden:
            subject = replace(subject, changed=_update(case, golden, trace, subject))
    return subject


def _comparison(case: Case, golden: Path | None, settings: CaseSettings) -> Comparison:
    again = case.recompute or case.verify or RECOMPUTED & {*case.settings.only}
    replay = Replay(verify=case.verify) if again else None
    picture = None
    if settings.pictures is not None and golden is not None:
        picture = picture_path(settings.pictures, case.name)
    return Comparison(replay, golden, case.tolerances, picture)


def _update(case: Case, golden: Path, trace: Path, subject: Subject) -> tuple[str, ...]:
    """Put a new trace in the place of the golden one, if it differs; what was done, in words."""
    if subject.status == "fail":
        return (f"{golden} was not written: a check of the new trace fails",)
    if not golden.exists():
        trace.replace(golden)
        return (f"{golden} was written",)
    options = ReadOptions("trace")
    one, other = recognise((str(golden), str(trace)), (options, options))
    with one.states, other.states:
        found = diff_states(one, other, DiffSettings(case.tolerances, hints=False))
    if found.verdict == "same":
        return (f"{golden} stays: the new trace is within the tolerances",)
    trace.replace(golden)
    return (f"{golden} was replaced: {headline(found)}", *_changes(found))


def _changes(found: DiffResult) -> list[str]:
    told = [*found.differences]
    told += [f"layer '{name}' is gone" for name in found.only_a]
    told += [f"layer '{name}' is new" for name in found.only_b]
    for layer in found.layers:
        for array in layer.arrays:
            if array.verdict == "differ":
                told.append(f"{layer.a} {array.name}: {'; '.join(details(array)[:2])}")
    return told
