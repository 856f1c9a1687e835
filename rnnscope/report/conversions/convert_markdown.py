"""What a conversion wrote, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.converting.result import ConversionReport
from rnnscope.report.conversions.convert_words import headline, layer_words, remarks
from rnnscope.report.markdown import bullets, escape
from rnnscope.wording import printable


def render(report: ConversionReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The conversion as Markdown; `width` and `color` change nothing."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: ConversionReport) -> Iterator[str]:
    yield f"### rnnscope convert: {escape(headline(report))}"
    yield from bullets(escape(layer_words(layer)) for layer in report.layers)
    yield from bullets(f"**{label}**: {escape(text)}" for label, text in remarks(report))
    yield ""
    yield "```python"
    yield from map(printable, report.load)
    yield "```"
