"""The text report of ``rnnscope explain``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.explaining.result import Explanation
from rnnscope.report.console import text_of
from rnnscope.report.explanations.explain_words import (
    command_words,
    error_words,
    headline,
    reading_words,
    searched,
)
from rnnscope.report.text_blocks import copied, heading, lines, pairs, table

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(found: Explanation, *, width: int = 100, color: bool = False) -> str:
    """The explanation as text."""
    return text_of(_parts(found), width=width, color=color)


def _parts(found: Explanation) -> Iterator[RenderableType]:
    yield pairs(_head(found))
    if found.fits:
        yield _table(found)
        for fit in found.fits:
            title = "what to change" if len(found.fits) == 1 else reading_words(fit.reading)
            yield lines(title, [fit.advice])
            if fit.reading:
                yield copied(command_words(fit.reproduces), fit.command)
    if found.nearest:
        for near in found.nearest:
            part = f"{near.agreeing:.0%} agree"
            yield lines(f"{reading_words(near.reading)} ({part})", near.words)
    if found.notes:
        yield lines("notes", found.notes)


def _head(found: Explanation) -> list[tuple[str, str]]:
    rows = [
        ("verdict", headline(found)),
        (
            "reference",
            found.reference + (f" ({', '.join(found.read_as)})" if found.read_as else ""),
        ),
        ("checkpoint", f"{found.checkpoint} over {found.input}"),
        ("searched", searched(found)),
    ]
    if found.separating_input:
        rows.append(("written", f"{found.separating_input}: an input on which they differ"))
    return rows


def _table(found: Explanation) -> RenderableType:
    from rich.console import Group

    rows = [
        (reading_words(fit.reading), error_words(fit.error), error_words(found.tolerance), "fits")
        for fit in found.fits
    ]
    return Group(
        heading("readings"),
        table(
            ("reading", "error", "limit", "verdict"),
            rows,
            right=("error", "limit"),
            fold=("reading",),
        ),
    )
