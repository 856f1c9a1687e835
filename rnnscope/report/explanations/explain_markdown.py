"""An explanation as Markdown, for an issue or a comment."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.explaining.result import Explanation
from rnnscope.report.explanations.explain_words import (
    command_words,
    error_words,
    headline,
    reading_words,
    searched,
)
from rnnscope.report.markdown import bullets, escape, table
from rnnscope.wording import printable


def render(found: Explanation, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The explanation as Markdown; `width` and `color` change nothing."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Explanation) -> Iterator[str]:
    yield f"### rnnscope explain: {escape(headline(found))}"
    yield ""
    yield f"- reference: {escape(found.reference)}"
    yield f"- model: {escape(found.checkpoint)} over {escape(found.input)}"
    yield f"- {escape(searched(found))}"
    if found.read_as:
        yield f"- the reference is read as {escape(', '.join(found.read_as))}"
    if found.separating_input:
        yield f"- an input on which the readings differ: {escape(found.separating_input)}"
    if found.fits:
        yield ""
        body = [(reading_words(fit.reading), error_words(fit.error), error_words(found.tolerance))
                for fit in found.fits]  # fmt: skip
        yield from table(("reading", "error", "limit"), body)
        for fit in found.fits:
            yield ""
            yield f"**{escape(reading_words(fit.reading))}**: {escape(fit.advice)}"
            if fit.reading:
                yield ""
                yield f"{command_words(fit.reproduces)}:"
                yield ""
                yield f"    {printable(fit.command)}"
    for near in found.nearest:
        yield ""
        yield f"**{escape(reading_words(near.reading))}** ({near.agreeing:.0%} agree)"
        yield from bullets(map(escape, near.words))
    yield from bullets(map(escape, found.notes))
