"""Two checkpoints compared by what they compute: both are run over one input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnscope.comparing.compare import diff_states
from rnnscope.comparing.result import DiffResult
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.files.containers.named_arrays import open_named
from rnnscope.files.writing.work_folders import work_folder
from rnnscope.record.recipe import Recipe
from rnnscope.record.recording import Target, record
from rnnscope.record.results import RunReport
from rnnscope.states.interface import ReadOptions, StateReading
from rnnscope.states.recognise import Recognised
from rnnscope.states.trace_format import readings as trace_readings


def diff_checkpoints(
    a: Path,
    b: Path,
    inputs: str,
    settings: DiffSettings | None = None,
    command: str = "",
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
    **options
        Of the runs, the same for both, by the names of `RUN_OPTIONS`.

    Raises
    ------
    CheckpointError, InputError, UnsupportedCellError
        As a run would.
    """
    recipe = Recipe.make("", inputs, **options)
    with work_folder("rnnscope-diff-") as folder:
        sides = []
        for number, path in enumerate((a, b)):
            trace = Path(folder) / f"{number}.h5"
            recording = record(recipe.reading(path), Target(trace), command=command)
            reason = _ran(recording.report)
            reading = trace_readings(open_named(str(trace)), ReadOptions())[0]
            sides.append(Recognised(_named(reading, path), reason))
        try:
            return diff_states(sides[0], sides[1], settings, command)
        finally:
            for side in sides:
                side.states.close()


def _named(reading: StateReading, path: Path) -> StateReading:
    states = replace(reading.states, name=str(path))
    return StateReading(reading.format, reading.words, reading.reason, states, sure=True)


def _ran(report: RunReport) -> str:
    """What ran, in words."""
    checkpoint = report.checkpoint
    return f"{checkpoint.format}, {checkpoint.framework}, run over {report.input.name}"
