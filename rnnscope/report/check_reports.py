"""CHECK_REPORTS: what checks can be printed as, by the name that ``--format`` takes."""

from __future__ import annotations

from typing import Protocol

from rnnscope.checks.result import CheckReport
from rnnscope.report import check_json, check_markdown, check_text


class RenderChecks(Protocol):
    """Turns findings into text that ends in a newline."""

    def __call__(self, report: CheckReport, *, width: int = 100, color: bool = False) -> str: ...


CHECK_REPORTS: dict[str, RenderChecks] = {
    "text": check_text.render,
    "json": check_json.render,
    "markdown": check_markdown.render,
}
"""The first is the default."""
