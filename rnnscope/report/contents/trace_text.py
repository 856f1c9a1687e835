"""What a trace holds and what made it, as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.json_values import plain
from rnnscope.record.results.file_contents import TraceContents
from rnnscope.report.console import text_of
from rnnscope.report.contents.tree_text import tree_lines
from rnnscope.report.states.show_text import head
from rnnscope.report.text_blocks import lines, pairs

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(contents: TraceContents, *, width: int = 100, color: bool = False) -> str:
    """The trace as text: where it comes from, its tree with shapes and options, its recipe."""
    parts = _parts(contents, width, is_plain=not color)
    return text_of(parts, width=width, color=color)


def _parts(contents: TraceContents, width: int, *, is_plain: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    yield pairs(head(contents.trace))
    tree = "\n".join(tree_lines(contents.trace, width=width, plain=is_plain))
    yield Text(tree, no_wrap=True, overflow="ignore")
    if contents.recipe:
        yield lines("recipe", _recipe(contents))
    if contents.trace.notes:
        yield lines("notes", contents.trace.notes)


def _recipe(contents: TraceContents) -> Iterator[str]:
    recipe = contents.recipe
    yield f"checkpoint {recipe['checkpoint']}"
    given = recipe["input"]
    yield f"input {given if isinstance(given, str) else 'an array in memory'}"
    for name, value in recipe.get("options", {}).items():
        yield f"{name} {plain(value)}"
