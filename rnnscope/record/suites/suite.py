"""A suite of cases, run in processes beside each other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path

from rnnscope.checks.result import Subject
from rnnscope.checks.settings import CheckSettings
from rnnscope.errors import OptionError, RnnscopeError, Spelling, spell, spell_as, spelling_in_use
from rnnscope.files.guarding.limits import Limits, limits, put_limits_back
from rnnscope.record.suites.case import CaseSettings, do_case
from rnnscope.record.suites.suite_file import Case, read_suite
from rnnscope.trace import Trace
from rnnscope.trace.target import SUFFIXES


def run_suite(
    path: Path,
    settings: CheckSettings | None = None,
    *,
    cases: Iterable[str] = (),
    jobs: int = 1,
    update_golden: bool = False,
    command: str = "",
    pictures: Path | None = None,
) -> list[Subject]:
    """Run and check the cases of a suite.

    Parameters
    ----------
    path : Path
        A TOML file; `rnnscope.record.suites.suite_file` knows its keys.
    settings : CheckSettings, optional
        What the command line says: it narrows the checks of every case, and its limits win.
    cases : iterable of str
        Globs over names of cases; empty: all.
    jobs : int
        Processes.
    update_golden : bool
    command : str
        Kept in the traces.
    pictures : Path, optional
        A folder for pictures (SVG) of where a case parts first from its golden trace.

    Returns
    -------
    list of Subject
        In the order of the file.

    Raises
    ------
    OptionError
        The suite cannot be read, or a glob fits no case.
    """
    chosen = _chosen(read_suite(path), tuple(cases), path)
    chosen = [replace(case, settings=_narrowed(case.settings, settings)) for case in chosen]
    jobs = min(jobs, len(chosen))
    workers = 0 if jobs == 1 else max(1, _cpus() // jobs)
    how = CaseSettings(update_golden, workers, command, pictures)
    if jobs == 1:
        return [do_case(case, how) for case in chosen]
    # Fresh processes: a fork would share threads of BLAS and HDF5 that are in the middle of work.
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=_begin, initargs=(spelling_in_use(), limits())
    ) as pool:
        waiting = [pool.submit(do_case, case, how) for case in chosen]
        return [_result(case, future) for case, future in zip(chosen, waiting, strict=True)]


def unused_golden(path: Path) -> list[Path]:
    """Traces beside the golden ones of a suite that no case of it is compared with.

    Parameters
    ----------
    path : Path
        The suite's file.

    Returns
    -------
    list of Path
        Sorted. A folder that holds the suite itself may hold any traces, and is not looked at.
    """
    used = {case.golden.resolve() for case in read_suite(path) if case.golden is not None}
    folders = {golden.parent for golden in used} - {path.resolve().parent}
    beside = (file for folder in folders for file in folder.glob("*") if file.suffix in SUFFIXES)
    return sorted(file for file in beside if file.resolve() not in used and _is_trace(file))


def _is_trace(path: Path) -> bool:
    try:
        with Trace.open(path):
            return True
    except (RnnscopeError, OSError):
        return False


def _begin(spelling: Spelling, known: Limits) -> None:
    """What a process beside this one takes over from it."""
    spell_as(spelling)
    put_limits_back(known)


def _result(case: Case, future: Future[Subject]) -> Subject:
    try:
        return future.result()
    except BrokenProcessPool:
        # Killed from outside, for its memory most likely; the pool does not say which case it was.
        why = "A process was ended from outside before the case was done (out of memory?)."
        return Subject(name=case.name, error=why)


def _cpus() -> int:
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _chosen(cases: list[Case], globs: tuple[str, ...], path: Path) -> list[Case]:
    for glob in globs:
        if not any(fnmatchcase(case.name, glob) for case in cases):
            raise OptionError(
                f"{spell('case')} fits no case of the suite.",
                where=path,
                expected=", ".join(case.name for case in cases),
                found=glob,
            )
    return [
        case for case in cases if not globs or any(fnmatchcase(case.name, glob) for glob in globs)
    ]


def _narrowed(of_case: CheckSettings, given: CheckSettings | None) -> CheckSettings:
    if given is None:
        return of_case
    return CheckSettings(
        only=given.only or of_case.only,
        skip=(*of_case.skip, *given.skip),
        layers=given.layers or of_case.layers,
        limits={**of_case.limits, **given.limits},
    )
