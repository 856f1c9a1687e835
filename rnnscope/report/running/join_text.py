"""What was joined, as text for people."""

from __future__ import annotations

from rnnscope.record.parts.joining import JoinReport
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import pairs
from rnnscope.wording import plural


def render(report: JoinReport, *, width: int = 100, color: bool = False) -> str:
    """The report as text."""
    held = f"{plural(report.parts, 'part')}, {_megabytes(report.bytes_of_parts)}"
    words = f"{held}, in {report.folder}: keep it beside the trace" if report.folder else held
    head = [
        ("trace", f"{report.trace}, {_megabytes(report.bytes_of_trace)}"),
        ("parts", words if report.folder else f"{words}, copied; they are not needed any more"),
        ("sequences", str(report.sequences)),
        ("layers", ", ".join(report.layers)),
    ]
    return text_of([pairs(head)], width=width, color=color)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.3g} MB"
