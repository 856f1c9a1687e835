"""Checks as text for people: tables, or a line for each subject where there are many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.checks.result import CheckReport, Subject
from rnnscope.report.check_tables import ending
from rnnscope.report.check_tables import render as render_tables
from rnnscope.report.check_words import STATUS_WORDS, sentence
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import STATUS_STYLES
from rnnscope.wording import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

MANY = 4
"""Subjects from which on each has a line; what is wrong with one stands below it."""


def render(report: CheckReport, *, width: int = 100, color: bool = False) -> str:
    """The checks as text; of many subjects a line each, and what failed or warned.

    Returns
    -------
    str
        Lines without trailing blanks, with a newline at the end.
    """
    if len(report.subjects) < MANY:
        return render_tables(report, width=width, color=color)
    from rich.console import Group

    lines = Group(*(line for subject in report.subjects for line in _lines(subject)))
    return text_of([lines, *ending(report)], width=width, color=color)


def _lines(subject: Subject) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    style = {**STATUS_STYLES, "error": "bold red"}[subject.status]
    yield Text(f"{subject.status:5}", style).append(f"  {printable(_line(subject))}", "default")
    below = [
        f"{one.status} {one.check}, {one.layer}: {sentence(one)}"
        for one in subject.findings
        if one.status in ("fail", "warn")
    ]
    below += [*subject.changed, *([f"picture: {subject.picture}"] if subject.picture else [])]
    for entry in below:
        yield Padding(Text(printable(entry)), (0, 0, 0, 7))


def _line(subject: Subject) -> str:
    if subject.error:
        return f"{subject.name}: {subject.error.splitlines()[0]}"
    statuses = [finding.status for finding in subject.findings]
    counts = [f"{statuses.count(status)} {word}" for status, word in STATUS_WORDS.items()
              if status in statuses]  # fmt: skip
    return f"{subject.name}: {', '.join(counts) or 'nothing was checked'}"
