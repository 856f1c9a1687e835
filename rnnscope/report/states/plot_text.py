"""What a picture that was written shows, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.seeing.picture import PlotReport
from rnnscope.wording import printable


def render(report: PlotReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The file, its size, and what the picture does not show by itself; a line each."""
    return "".join(f"{printable(line)}\n" for line in _lines(report))


def _lines(report: PlotReport) -> Iterator[str]:
    size = f"{report.width:g} x {report.height:g} inches"
    if report.output.lower().endswith(".png"):
        size += f", {round(report.width * report.dpi)} x {round(report.height * report.dpi)} pixels"
    yield f"wrote {report.output} ({report.kind}, {size})"
    yield from (f"note: {note}" for note in report.notes)
