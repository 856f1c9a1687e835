"""Checks as text for people, a table for every subject."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.checks.result import CheckReport, Subject
from rnnscope.report.check_words import headline
from rnnscope.report.console import text_of
from rnnscope.report.findings_text import checks_part
from rnnscope.report.text_blocks import STATUS_STYLES, heading, lines, pairs
from rnnscope.wording import printable, some

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(report: CheckReport, *, width: int = 100, color: bool = False) -> str:
    """For each subject a table, what did not pass, and its padding.

    Returns
    -------
    str
        Lines without trailing blanks, with a newline at the end.
    """
    return text_of([*_parts(report), *ending(report)], width=width, color=color)


def _parts(report: CheckReport) -> Iterator[RenderableType]:
    for subject in report.subjects:
        yield pairs(_head(subject))
        yield from checks_part([one for one in subject.findings if one.status != "skip"])
        if any(one.status == "skip" for one in subject.findings):
            yield lines("skipped", _skipped(subject))
        if subject.padding:
            yield lines("padding", [f"{one.layer}: {one.verdict}" for one in subject.padding])
        if subject.changed:
            yield lines("golden", subject.changed)
        if subject.picture:
            yield pairs([("picture", subject.picture)])
        if subject.notes:
            yield lines("notes", subject.notes)


def _head(subject: Subject) -> Iterator[tuple[str, str]]:
    yield "checked", subject.name
    if subject.error:
        yield "error", subject.error.splitlines()[0]
    if subject.checkpoint:
        over = f" over {subject.input}" if subject.input else ""
        yield "from", f"{subject.checkpoint}{over}"


def _skipped(subject: Subject) -> Iterator[str]:
    """Each reason once, with the checks and, where these are not all, the layers."""
    layers = {finding.layer for finding in subject.findings}
    reasons: dict[str, dict[str, set[str]]] = {}
    for finding in subject.findings:
        if finding.status == "skip":
            checks = reasons.setdefault(finding.message, {})
            checks.setdefault(finding.check, set()).add(finding.layer)
    for reason, checks in reasons.items():
        names = [
            name if where == layers else f"{name} in {some(sorted(where))}"
            for name, where in checks.items()
        ]
        yield f"{', '.join(names)}: {reason}"


def ending(report: CheckReport) -> Iterator[RenderableType]:
    """What is to be said of the whole, and the counts."""
    from rich.text import Text

    if report.notes:
        yield lines("notes", report.notes)
    style = {**STATUS_STYLES, "error": "bold red"}[report.status]
    yield Text(printable(headline(report)), style) if report.subjects else heading("nothing")
