"""Checks as text for people, a table for every subject."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.checks.interface import Status
from rnnscope.checks.result import CheckReport, Subject
from rnnscope.checks.streamed import PREFIX
from rnnscope.report.checking.check_words import headline
from rnnscope.report.checking.findings_text import checks_part
from rnnscope.report.checking.stream_text import stream_part
from rnnscope.report.console import text_of
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
        if subject.streamed is None and (chunked := _grouped(subject, "pass", PREFIX)):
            yield lines("in chunks", chunked)
        if subject.streamed is not None:
            yield from stream_part(subject.streamed)
        if any(one.status == "skip" for one in subject.findings):
            yield lines("skipped", _grouped(subject, "skip"))
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


def _grouped(subject: Subject, status: Status, prefix: str = "") -> list[str]:
    """Each message once, with the checks and, where these are not all, the layers."""
    layers = {finding.layer for finding in subject.findings}
    reasons: dict[str, dict[str, set[str]]] = {}
    for finding in subject.findings:
        if finding.status == status and finding.check.startswith(prefix):
            checks = reasons.setdefault(finding.message, {})
            checks.setdefault(finding.check, set()).add(finding.layer)
    found = []
    for reason, checks in reasons.items():
        alike: dict[frozenset[str], list[str]] = {}
        for name, where in checks.items():
            alike.setdefault(frozenset(where), []).append(name)
        names = [
            ", ".join(of) if where == layers else f"{', '.join(of)} in {some(sorted(where))}"
            for where, of in alike.items()
        ]
        found.append(f"{', '.join(names)}: {reason}")
    return found


def ending(report: CheckReport) -> Iterator[RenderableType]:
    """What is to be said of the whole, and the counts."""
    from rich.text import Text

    if report.notes:
        yield lines("notes", report.notes)
    style = {**STATUS_STYLES, "error": "bold red"}[report.status]
    yield Text(printable(headline(report)), style) if report.subjects else heading("nothing")
