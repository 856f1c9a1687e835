"""The cases of a suite as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.record.results.file_contents import SuiteContents
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import pairs
from rnnscope.wording import plural

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(suite: SuiteContents, *, width: int = 100, color: bool = False) -> str:
    """The suite as text: what each case runs, and what it is held to."""
    return text_of(_parts(suite), width=width, color=color)


def _parts(suite: SuiteContents) -> Iterator[RenderableType]:
    yield pairs([("suite", f"{suite.path}: {plural(len(suite.cases), 'case')}")])
    for case in suite.cases:
        rows = [("case", case.name), ("runs", case.recipe), ("checks", str(case.checks))]
        yield pairs(rows + ([("golden", case.golden)] if case.golden else []))
