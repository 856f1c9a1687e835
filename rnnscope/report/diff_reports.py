"""DIFF_REPORTS: what a comparison can be printed as, by the name that ``--format`` takes."""

from __future__ import annotations

from typing import Protocol

from rnnscope.comparing.result import DiffResult
from rnnscope.report import diff_json, diff_junit, diff_markdown, diff_text


class RenderDiff(Protocol):
    """Turns a comparison into text that ends in a newline."""

    def __call__(self, result: DiffResult, *, width: int = 100, color: bool = False) -> str: ...


DIFF_REPORTS: dict[str, RenderDiff] = {
    "text": diff_text.render,
    "json": diff_json.render,
    "markdown": diff_markdown.render,
    "junit": diff_junit.render,
}
"""The first is the default."""
