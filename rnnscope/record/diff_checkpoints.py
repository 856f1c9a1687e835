"""Two checkpoints compared by what they compute: both are run over one input."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from rnnscope.checkpoints import read_checkpoint
from rnnscope.diff.compare import diff_states
from rnnscope.diff.result import DiffResult
from rnnscope.diff.tolerance import DiffSettings
from rnnscope.files.named_arrays import open_named
from rnnscope.inputs import open_input
from rnnscope.model.cell import Array
from rnnscope.record.run_report import trace_header
from rnnscope.run import plan_run, run_plan
from rnnscope.states.interface import Reading, ReadOptions
from rnnscope.states.recognise import Recognised
from rnnscope.states.trace_format import readings as trace_readings
from rnnscope.trace import LayerHeader, TraceWriter


def diff_checkpoints(
    a: Path,
    b: Path,
    inputs: str,
    settings: DiffSettings | None = None,
    command: str = "",
    *,
    model_input: bool = False,
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
    model_input : bool
        The input is what the models take, not what their first recurrent layer receives.

    Raises
    ------
    CheckpointError, InputError, UnsupportedCellError
        As a run would.
    """
    with tempfile.TemporaryDirectory(prefix="rnnscope-diff-") as folder:
        sides = []
        for number, path in enumerate((a, b)):
            trace = Path(folder) / f"{number}.h5"
            reason = run_to_trace(path, inputs, trace, command, model_input=model_input)
            reading = trace_readings(open_named(str(trace)), ReadOptions())[0]
            sides.append(Recognised(_named(reading, path), reason))
        try:
            return diff_states(sides[0], sides[1], settings, command)
        finally:
            for side in sides:
                side.states.close()


def _named(reading: Reading, path: Path) -> Reading:
    from dataclasses import replace

    states = replace(reading.states, name=str(path))
    return Reading(reading.format, reading.words, reading.reason, states, sure=True)


def run_to_trace(
    path: Path, inputs: str, trace: Path, command: str = "", *, model_input: bool = False
) -> str:
    """Run a checkpoint over an input into a trace; returns what ran, in words."""
    checkpoint = read_checkpoint(path)
    with open_input(inputs) as source:
        plan = plan_run(checkpoint, source, model_input=model_input)

        def open_writer(
            layers: list[LayerHeader],
            lengths: Array | None,
            has_mask: bool,
            engine: str,
        ) -> TraceWriter:
            return TraceWriter(
                trace,
                replace(trace_header(checkpoint, source, command), engine=engine),
                layers,
                source.sequences,
                source.timesteps,
                has_lengths=lengths is not None,
                has_mask=has_mask,
            )

        run_plan(plan, source, open_writer)
    return f"{checkpoint.format}, {checkpoint.framework}, run over {source.name}"
