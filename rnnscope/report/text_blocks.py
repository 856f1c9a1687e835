"""The few building blocks of the text report: a table, a list, a heading."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rnnscope.wording import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
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

    Where that is not enough, the cells of a row stand below its first two, each with the name of
    its column, so that nothing is cut. Cells that hold a status alone are coloured.
    """
    from rich.table import Table
    from rich.text import Text

    body = [[Text(printable(cell), STATUS_STYLES.get(cell, "")) for cell in row] for row in rows]
    whole = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        whole.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in fold,
        )
    for row in body:
        whole.add_row(*row)
    return _TableOrBlocks(whole, columns, body, _least_width(columns, body, fold))


LEAST_FOLDED = 20
"""Columns of a terminal that a column which gives way has at least, if it needs them."""

GAP = 2
"""Blanks between two columns."""


class _TableOrBlocks:
    """A table where it has the room, else its rows as blocks below each other."""

    def __init__(
        self, whole: Table, columns: Sequence[str], rows: Sequence[Sequence[Text]], least: int
    ) -> None:
        self._whole, self._columns, self._rows, self._least = whole, columns, rows, least

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.padding import Padding
        from rich.text import Text

        if self._least <= options.max_width:
            yield self._whole
            return
        for row in self._rows:
            yield Text("  ").join(row[:2])
            rest = [Text(f"{column.strip()} ", "dim").append_text(cell)
                    for column, cell in zip(self._columns[2:], row[2:], strict=True)
                    if cell.plain]  # fmt: skip
            if rest:
                yield Padding(Text(", ").join(rest), (0, 0, 0, 2))


def _least_width(
    columns: Sequence[str], rows: Sequence[Sequence[Text]], fold: Collection[str]
) -> int:
    """The width in which no word of a table is broken, but for long ones that may fold."""
    from rich.cells import cell_len

    total = -GAP
    for number, column in enumerate(columns):
        cells = [column, *(row[number].plain for row in rows)]
        if column in fold:
            cells = [word[:LEAST_FOLDED] for cell in cells for word in cell.split()]
        total += max(map(cell_len, cells)) + GAP
    return total


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


def wrapped(line: str, width: int) -> str:
    """A line in as many as it takes, those behind the first further in; a long word stays whole."""
    within = len(line) - len(line.lstrip(" "))
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * (within + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
