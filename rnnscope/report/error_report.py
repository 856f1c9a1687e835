"""The document of an error as text: what stderr has of it."""

from __future__ import annotations

from rnnscope.errors import RnnscopeError
from rnnscope.report.error_document import ErrorReport
from rnnscope.report.error_text import render_error


def render(report: ErrorReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The error as text; lines are not wrapped, so that paths stay whole."""
    error = RnnscopeError(
        report.what,
        where=report.where,
        expected=report.expected,
        found=report.found,
        hint=report.next,
    )
    return render_error(error, color=color)
