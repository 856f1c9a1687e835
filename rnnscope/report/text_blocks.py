"""The few building blocks of the text report: a table, a list, a heading."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rnnscope.wording import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

STATUS_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def heading(title: str) -> Text:
    """A title above a table."""
    from rich.text import Text

    return Text(printable(title), style="bold")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[str] = (),
    fold: Collection[str] = (),
) -> RenderableType:
    """A table without lines; the columns in `fold` give way when the width is short.

    Cells that hold a status alone are coloured.
    """
    from rich.table import Table
    from rich.text import Text

    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        result.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in fold,
        )
    for row in rows:
        result.add_row(*(Text(printable(cell), STATUS_STYLES.get(cell, "")) for cell in row))
    return result


def pairs(
    rows: Iterable[tuple[str, str]], *, bold: bool = True, width: int | None = None
) -> RenderableType:
    """Labels and what they stand for, below each other."""
    from rich.table import Table
    from rich.text import Text

    result = Table.grid(padding=(0, 2, 0, 0))
    result.add_column(no_wrap=True, style="bold" if bold else "", min_width=width)
    result.add_column(overflow="fold")
    for label, value in rows:
        result.add_row(Text(label), Text(printable(value)))
    return result


def copied(title: str, command: str) -> RenderableType:
    """A heading and a command below it, in one line at any width, so that it can be copied."""
    from rich.console import Group
    from rich.text import Text

    text = Text(f"  {printable(command)}", no_wrap=True, overflow="ignore")
    return Group(heading(title), text)


def lines(title: str, entries: Iterable[str]) -> RenderableType:
    """A heading and its entries, each indented; a long entry goes on below itself."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for entry in entries:
        grid.add_row(Text("-"), Text(printable(entry)))
    return Group(heading(title), Padding(grid, (0, 0, 0, 2)))
