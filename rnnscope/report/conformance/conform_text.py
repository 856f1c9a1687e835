"""The text report of ``rnnscope conform``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.conforming.result import ConformReport
from rnnscope.report.conformance.conform_words import (
    COLUMNS,
    difference_words,
    differences,
    head,
    not_given,
    not_offered,
    rows,
)
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import heading, lines, pairs, table
from rnnscope.wording import plural

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(report: ConformReport, *, width: int = 100, color: bool = False) -> str:
    """The verdict, the table of families, each difference with its cause, what was left out."""
    return text_of(_parts(report), width=width, color=color)


def _parts(report: ConformReport) -> Iterator[RenderableType]:
    from rich.console import Group

    yield pairs(head(report))
    yield Group(
        heading("families (error: the largest, as a part of the tolerance)"),
        table(COLUMNS, rows(report), right=COLUMNS[1:]),
    )
    for found in differences(report):
        yield lines(f"{found.title} ({plural(len(found.cases), 'case')})", difference_words(found))
    for title, entries in (
        ("not offered", not_offered(report)),
        ("not given, and so not judged", not_given(report)),
    ):
        if entries:
            yield lines(title, entries)
