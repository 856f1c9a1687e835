"""Two checkpoints compared by what they compute: both are run over one input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rnnscope.comparing.compare import diff_states
from rnnscope.comparing.result import DiffResult
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.files.containers.named_arrays import open_named
from rnnscope.files.writing.work_folders import work_folder
from rnnscope.options.unread import refuse_unread
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.recording import record
from rnnscope.record.replaying.rerun import COMPARED, ONLY_COMPARED
from rnnscope.record.results.run_report import RunReport
from rnnscope.record.targets import Target
from rnnscope.states.interface import ReadOptions, StateReading
from rnnscope.states.recognise import Recognised
from rnnscope.states.trace_format import readings as trace_readings


class RunSide(NamedTuple):
    """A checkpoint that was run.

    Attributes
    ----------
    trace : Path
        Gone when the comparison is done.
    recipe : Recipe
    read : Recognised
    """

    trace: Path
    recipe: Recipe
    read: Recognised


def diff_checkpoints(
    a: Path,
    b: Path,
    inputs: str,
    settings: DiffSettings | None = None,
    command: str = "",
    then: Callable[[tuple[RunSide, RunSide], DiffResult], DiffResult] | None = None,
    **options: Any,
) -> DiffResult:
    """Run two checkpoints over an input, and compare the states of every timestep.

    Parameters
    ----------
    a, b : Path
        What `read_checkpoint` takes.
    inputs : str
        What `open_input` takes.
    settings : DiffSettings, optional
    command : str
    then : callable, optional
        ``then(sides, found) -> DiffResult``, while both traces are there.
    **options
        Of the runs, the same for both, by the names of `RUN_OPTIONS`.

    Raises
    ------
    CheckpointError, InputError, UnsupportedCellError
        As a run would.
    """
    refuse_unread(options, COMPARED, ONLY_COMPARED)
    recipe = Recipe.make("", inputs, **options)
    with work_folder("rnnscope-diff-") as folder:
        sides = []
        for number, path in enumerate((a, b)):
            trace = Path(folder) / f"{number}.h5"
            own = recipe.reading(path)
            reason = _ran(record(own, Target(trace), command=command).report)
            reading = trace_readings(open_named(str(trace)), ReadOptions())[0]
            sides.append(RunSide(trace, own, Recognised(_named(reading, path), reason)))
        try:
            first, second = sides
            found = diff_states(first.read, second.read, settings, command)
            return found if then is None else then((first, second), found)
        finally:
            for side in sides:
                side.read.states.close()


def _named(reading: StateReading, path: Path) -> StateReading:
    states = replace(reading.states, name=str(path))
    return StateReading(reading.format, reading.words, reading.reason, states, sure=True)


def _ran(report: RunReport) -> str:
    """What ran, in words."""
    checkpoint = report.checkpoint
    return f"{checkpoint.format}, {checkpoint.framework}, run over {report.input.name}"
