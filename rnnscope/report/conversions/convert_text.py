"""What a conversion wrote, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.converting.result import ConversionReport
from rnnscope.report.conversions.convert_words import headline, layer_words, remarks
from rnnscope.report.text_blocks import wrapped
from rnnscope.wording import printable


def render(report: ConversionReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The file, its layers, how they were proved, and the lines that load it."""
    first, *rest = (printable(line) for line in _lines(report))
    told = "".join(f"{line}\n" for line in (first, *(wrapped(line, width) for line in rest)))
    # Lines to copy stay whole.
    return told + "load it with\n" + "".join(f"  {printable(line)}\n" for line in report.load)


def _lines(report: ConversionReport) -> Iterator[str]:
    yield headline(report)
    yield from (f"  {layer_words(layer)}" for layer in report.layers)
    yield from (f"{label}: {text}" for label, text in remarks(report))
