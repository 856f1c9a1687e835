"""A trace's recipe run again: into another trace, or only to compare the states."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from rnnscope.comparing import DiffResult, DiffSettings, diff_states
from rnnscope.files.writing.work_folders import work_folder
from rnnscope.options.table import GROUPS
from rnnscope.options.unread import refuse_unread
from rnnscope.record.planning import PlannedRun
from rnnscope.record.recipes.recipe import Recipe, refuse_execution
from rnnscope.record.recording import Recording, record
from rnnscope.record.replaying.replayed_recipe import Replay, replayed
from rnnscope.record.targets import Target
from rnnscope.running.interface import Progress
from rnnscope.states.interface import ReadOptions
from rnnscope.states.recognise import recognise
from rnnscope.trace import Trace

COMPARED = tuple(group for group in GROUPS if group != "check")
ONLY_COMPARED = "the states are compared with each other, and what another engine says is not shown"
"""Which options are read where a run is only compared, and why the others are not."""

ShowProgress = Callable[[PlannedRun], AbstractContextManager[Progress | None]]


def recipe_to_rerun(trace: Path, replay: Replay | None = None) -> Recipe:
    """The recipe of a trace with what a replay changes in it.

    Raises
    ------
    TraceError, OptionError
        The trace cannot be read, holds no recipe, or its recipe would execute the model.
    """
    replay = replay or Replay()
    with Trace.open(trace) as opened:
        recipe = replayed(opened, replay)
    if not replay.options.get("trust_model"):
        refuse_execution(recipe, trace)
    return recipe


def rerun(
    trace: Path,
    target: Target,
    replay: Replay | None = None,
    *,
    command: str = "",
    progress: ShowProgress | None = None,
) -> Recording:
    """Run a trace's recipe again into another trace.

    Raises
    ------
    RnnscopeError
        As `record`; the trace is only read.
    """
    return record(recipe_to_rerun(trace, replay), target, command=command, progress=progress)


def rerun_and_compare(
    trace: Path,
    replay: Replay | None = None,
    settings: DiffSettings | None = None,
    *,
    command: str = "",
    progress: ShowProgress | None = None,
) -> DiffResult:
    """Run a trace's recipe again and compare the states with those that it holds.

    Raises
    ------
    RnnscopeError
        As `record`.
    """
    if replay is not None:
        refuse_unread(replay.options, COMPARED, ONLY_COMPARED)
    with work_folder("rnnscope-rerun-") as folder:
        target = Target(folder / f"{trace.stem[:40]} again.h5")
        rerun(trace, target, replay, command=command, progress=progress)
        options = ReadOptions("trace")
        stored, again = recognise((str(trace), str(target.path)), (options, options))
        with stored.states, again.states:
            named = replace(again.states, name="the recipe run again")
            ran = replace(again, reading=replace(again.reading, states=named))
            return diff_states(stored, ran, settings, command)
