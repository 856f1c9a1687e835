"""What a conversion wrote, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.converting.result import ConversionReport
from rnnscope.report.conversions.convert_words import headline, layer_words, remarks
from rnnscope.wording import printable


def render(report: ConversionReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The file, its layers, how they were proved, and the lines that load it."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: ConversionReport) -> Iterator[str]:
    yield printable(headline(report))
    yield from (f"  {printable(layer_words(layer))}" for layer in report.layers)
    yield from (printable(f"{label}: {text}") for label, text in remarks(report))
    yield "load it with"
    yield from (f"  {printable(line)}" for line in report.load)
