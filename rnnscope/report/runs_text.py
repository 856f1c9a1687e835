"""Several runs as text for people: a line each, and what is wrong below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.checks.interface import Finding
from rnnscope.record.several_runs import RunOfSeveral, SeveralRuns
from rnnscope.report.check_words import sentence
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import STATUS_STYLES, pairs
from rnnscope.wording import plural, printable, shape

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(several: SeveralRuns, *, width: int = 100, color: bool = False) -> str:
    """The runs as text."""
    from rich.console import Group

    lines = Group(*(line for run in several.runs for line in _lines(run)))
    head = pairs([("checkpoint", several.checkpoint)])
    return text_of([head, lines, _end(several)], width=width, color=color)


def _lines(run: RunOfSeveral) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    status = "error" if run.report is None else run.report.status
    style = {**STATUS_STYLES, "error": "bold red"}[status]
    yield Text(f"{status:5}", style).append(f"  {printable(_words(run))}", "default")
    findings = () if run.report is None else run.report.findings
    for finding in findings:
        if finding.status in ("fail", "warn"):
            yield Padding(Text(printable(_below(finding))), (0, 0, 0, 7))


def _words(run: RunOfSeveral) -> str:
    if run.report is None:
        return f"{run.input}: {run.error.splitlines()[0]}"
    return f"{run.input}: {shape(run.report.input.shape)} -> {run.trace}"


def _below(finding: Finding) -> str:
    return f"{finding.status} {finding.check}, {finding.layer}: {sentence(finding)}"


def _end(several: SeveralRuns) -> RenderableType:
    from rich.text import Text

    failed = sum(run.report is None for run in several.runs)
    words = f"{plural(len(several.runs), 'run')}: {several.status}"
    return Text(f"{words}, {failed} could not be done" if failed else words)
