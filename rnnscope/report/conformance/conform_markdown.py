"""The report of ``rnnscope conform`` as Markdown, for an issue or a page."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.conforming.result import ConformReport
from rnnscope.report.conformance.conform_words import (
    COLUMNS,
    difference_words,
    differences,
    head,
    headline,
    not_given,
    not_offered,
    rows,
)
from rnnscope.report.markdown import escape, table
from rnnscope.wording import plural


def render(report: ConformReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """A heading, the table of families and what differs."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: ConformReport) -> Iterator[str]:
    yield f"### rnnscope conform: {escape(headline(report))}"
    yield ""
    yield from (f"- {label}: {escape(text)}" for label, text in head(report)[1:])
    yield ""
    yield from table(COLUMNS, rows(report))
    for found in differences(report):
        yield ""
        yield f"**{escape(found.title)}** ({plural(len(found.cases), 'case')})"
        yield ""
        yield from (f"- {escape(line)}" for line in difference_words(found))
    for title, entries in (
        ("Not offered", not_offered(report)),
        ("Not given, and so not judged", not_given(report)),
    ):
        if entries:
            yield ""
            yield f"{title}:"
            yield ""
            yield from (f"- {escape(entry)}" for entry in entries)
