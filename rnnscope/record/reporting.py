"""What is reported of a run: before anything is computed, and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isnan

from rnnscope.checks.interface import Finding
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.errors import called
from rnnscope.inputs import InputSource
from rnnscope.model.cell import GATE_ORDER
from rnnscope.model.verification import Verifier
from rnnscope.model.wiring_words import wiring_lines
from rnnscope.record.planning import PlannedRun
from rnnscope.record.results.model_report import checkpoint_report, layer_report, left_out_groups
from rnnscope.record.results.run_report import InputReport, RunReport
from rnnscope.record.run_checks import RunChecks
from rnnscope.running.runner import RunResult
from rnnscope.wording import some

SHOWN_NAMES = 8
"""Names of arrays that a sentence lists."""


def run_report(
    planned: PlannedRun,
    result: RunResult,
    checks: RunChecks,
    trace: str | None,
    command: str,
    verifier: Verifier | None = None,
) -> RunReport:
    """What ``rnnscope run`` prints."""
    return replace(
        planned_report(planned, trace, command),
        findings=with_nan_allowed(planned, checks.findings()),
        padding=tuple(PaddingVerdict(layer, verdict) for layer, verdict in checks.padding()),
        notes=tuple(
            called(note)
            for note in (
                *planned.checkpoint.notes,
                *planned.source.notes,
                *planned.plan.notes,
                *result.notes,
                *_spread_words(planned, checks),
                *_unread_words(planned),
            )
        ),
        verify=() if verifier is None else verifier.rows(),
        verified_by=None if verifier is None else verifier.name,
        engine=result.engine,
        seconds=result.seconds,
        steps_per_second=result.steps / result.seconds if result.seconds else None,
    )


def bytes_of_states(planned: PlannedRun) -> int:
    """c, m and outputs of every step, and the gates where they are kept."""
    source = planned.source
    cells = [node.recurrent.cell for node in planned.plan.layers if node.recurrent]
    gates = len(GATE_ORDER) if planned.recipe["gates"] else 0
    values = sum(
        ((1 + gates) * cell.num_units + 2 * cell.output_size) * cell.dtype.itemsize
        for cell in cells
    )
    return int(values * source.sequences * source.timesteps)


def planned_report(planned: PlannedRun, trace: str | None, command: str) -> RunReport:
    """What is known before anything is computed."""
    checkpoint, source, plan = planned.checkpoint, planned.source, planned.plan
    ran = replace(checkpoint.network, nodes=plan.nodes)
    return RunReport(
        command=command,
        checkpoint=checkpoint_report(checkpoint),
        input=InputReport(
            name=source.name,
            shape=source.shape,
            dtype=str(source.dtype),
            lengths=_lengths_words(source),
            unread=planned.unread,
        ),
        layers=tuple(layer_report(node) for node in plan.layers),
        wiring=wiring_lines(ran),
        notes=tuple(
            map(called, (*checkpoint.notes, *source.notes, *plan.notes, *_unread_words(planned)))
        ),
        trace=trace,
        left_out=left_out_groups(checkpoint),
    )


def with_nan_allowed(planned: PlannedRun, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What fails since the input holds NaN, which the user allows, warns."""
    if not any(source.nonfinite for source in (planned.source, planned.opened)):
        return findings
    return tuple(
        replace(one, status="warn")
        if one.status == "fail" and (one.check == "finite" or isnan(one.measured or 0.0))
        else one
        for one in findings
    )


def _spread_words(planned: PlannedRun, checks: RunChecks) -> Iterator[str]:
    """Where numbers that are none come in, and where states are none first."""
    for source in (planned.source, planned.opened):
        if not source.nonfinite:
            continue
        yield f"NaN or infinity in the input, first at {source.nonfinite[0]}."
        spread = [one for one in checks.findings() if one.check == "finite" and one.measured]
        for one in spread:
            yield f"It spreads: {one.layer} is not finite first at {one.place}."
        if not spread:
            yield "It does not spread: every state is finite."
        return


def _unread_words(planned: PlannedRun) -> Iterator[str]:
    """Arrays of the input file that nothing reads, in a sentence."""
    unread = planned.unread
    if unread:
        shown = some([f"'{name}'" for name in unread], SHOWN_NAMES)
        yield f"{planned.source.path.name} also holds {shown}, which nothing reads."


def _lengths_words(source: InputSource) -> str:
    if source.lengths is None:
        return "as the mask says" if source.mask is not None else ""
    lengths = source.lengths
    shown = ", ".join(str(int(length)) for length in lengths[:8])
    return f"{shown}, … ({len(lengths)} in all)" if len(lengths) > 8 else shown
