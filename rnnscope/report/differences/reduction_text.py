"""A reduction as text for people: what is left, what was tried, and the text of an issue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.comparing.reduction import Reduction
from rnnscope.comparing.reduction_words import (
    PRIVACY,
    contents,
    headline,
    place,
    recomputed,
    tried,
    values,
)
from rnnscope.report.differences.reduction_markdown import issue
from rnnscope.report.text_blocks import copied, heading, lines
from rnnscope.wording import plural, printable

if TYPE_CHECKING:
    from rich.console import RenderableType


def reduction_parts(found: Reduction, tolerance: str) -> Iterator[RenderableType]:
    """The blocks of a reduction, below those of the comparison."""
    from rich.console import Group
    from rich.text import Text

    if not found.case:
        yield lines("smallest case", [headline(found)])
        return
    entries = [headline(found), place(found), values(found), recomputed(found), *found.notes]
    yield lines("smallest case", entries)
    yield lines(f"{plural(len(found.tried), 'smaller pair')} tried", tried(found))
    yield lines("written", [contents(found), PRIVACY])
    for title, command in zip(
        ("the difference again", "run it again", "and compare"), found.commands, strict=False
    ):
        yield copied(title, command)
    text = [
        Text(f"  {printable(line)}".rstrip(), no_wrap=True, overflow="ignore")
        for line in issue(found, tolerance)
    ]
    yield Group(heading("text for an issue (Markdown)"), *text)
