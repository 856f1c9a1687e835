"""From a finished run to its report and to the header of its trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rnnscope import __version__
from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.files.hashing import files_sha256
from rnnscope.inputs import InputSource
from rnnscope.model.verification import Verifier
from rnnscope.model.wiring_words import wiring_lines
from rnnscope.record.results import InputReport, RunReport, checkpoint_report, layer_report
from rnnscope.run.plan import Plan
from rnnscope.run.runner import RunResult
from rnnscope.trace import TraceHeader


def trace_header(
    checkpoint: Checkpoint,
    source: InputSource,
    command: str,
    decoder: InputSource | None = None,
    *,
    input_sha256: Callable[[], str] | None = None,
) -> TraceHeader:
    """Where a trace comes from.

    Parameters
    ----------
    checkpoint : Checkpoint
    source : InputSource
    command : str
    decoder : InputSource, optional
        The decoder inputs.
    input_sha256 : callable, optional
        The digest of the input's file, where somebody has begun on it.
    """
    return TraceHeader(
        command=command,
        checkpoint=checkpoint.path.name,
        checkpoint_format=checkpoint.format,
        checkpoint_sha256=files_sha256(checkpoint.files),
        framework=checkpoint.framework,
        input=source.name,
        input_sha256=(input_sha256 or source.sha256)(),
        decoder_input="" if decoder is None else decoder.name,
        decoder_input_sha256="" if decoder is None else decoder.sha256(),
        rnnscope_version=__version__,
        notes=(*checkpoint.notes, *source.notes),
    )


def run_report(
    checkpoint: Checkpoint,
    source: InputSource,
    plan: Plan,
    result: RunResult,
    trace: Path,
    command: str,
    verifier: Verifier | None = None,
) -> RunReport:
    """What ``rnnscope run`` prints."""
    features = () if source.features is None else (source.features,)
    ran = replace(checkpoint.network, nodes=plan.nodes)
    return RunReport(
        command=command,
        checkpoint=checkpoint_report(checkpoint),
        input=InputReport(
            name=source.name,
            shape=(source.sequences, source.timesteps, *features),
            dtype=str(source.dtype),
            lengths=_lengths_words(source),
        ),
        layers=tuple(layer_report(node) for node in plan.layers),
        findings=result.findings,
        padding=tuple(PaddingVerdict(layer, verdict) for layer, verdict in result.padding),
        wiring=wiring_lines(ran),
        notes=(*checkpoint.notes, *source.notes, *plan.notes, *result.notes),
        verify=() if verifier is None else verifier.rows(),
        verified_by=None if verifier is None else verifier.name,
        trace=str(trace),
        engine=result.engine,
        seconds=result.seconds,
        steps_per_second=result.steps / result.seconds if result.seconds else None,
    )


def _lengths_words(source: InputSource) -> str:
    if source.lengths is None:
        return "as the mask says" if source.mask is not None else ""
    lengths = source.lengths
    shown = ", ".join(str(int(length)) for length in lengths[:8])
    return f"{shown}, … ({len(lengths)} in all)" if len(lengths) > 8 else shown
