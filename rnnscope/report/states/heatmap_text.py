"""A heatmap in a terminal: half blocks in colours, or signed digits where there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.seeing.colours import (
    TERMINAL_NO_NUMBER,
    TERMINAL_PADDING,
    TERMINAL_RAMP,
    terminal_colours,
)
from rnnscope.seeing.heatmap import CellBudget, Heatmap
from rnnscope.seeing.ticks import round_sizes, round_ticks
from rnnscope.wording import number, plural, printable

if TYPE_CHECKING:
    from rich.text import Text

UPPER_HALF, HATCH = "▀", "╱"
MOST_LINES = 32
WIDEST_CELL, WIDEST_TOKEN = 4, 10
MOST_TOKENS = 200
"""Tokens that are listed below a heatmap that has no room for them."""


@dataclass(frozen=True, eq=False)
class LaidOut:
    """A heatmap as it fits the terminal.

    Attributes
    ----------
    heatmap : Heatmap
        With as many cells as there is room for.
    labels : list of str
        Of each line of text.
    cell : int
        Columns of text a cell.
    """

    heatmap: Heatmap
    labels: list[str]
    cell: int

    @property
    def margin(self) -> int:
        return _margin(self.labels)


def lay_out(
    heatmap: Heatmap, *, width: int, plain: bool, ranked: bool, longest_token: int = 0
) -> LaidOut:
    """Choose cells for a width: units that are ranked are cut off, others binned; so is time."""
    smallest = 2 if plain else 1
    room = width - max(map(len, ["unit", *map(str, heatmap.units)])) - 1
    heatmap = _fewer_rows(heatmap, room // smallest, plain=plain, ranked=ranked)
    room = width - _margin(_labels(heatmap, plain=plain))
    heatmap = heatmap.rebinned(CellBudget(columns=max(1, room // smallest)))
    labels = _labels(heatmap, plain=plain)
    largest = WIDEST_CELL
    if longest_token and not heatmap.is_binned:
        largest = min(WIDEST_TOKEN, max(largest, longest_token + 1))
    cell = (width - _margin(labels)) // max(1, heatmap.low.shape[1])
    return LaidOut(heatmap, labels, min(largest, max(smallest, cell)))


def _fewer_rows(heatmap: Heatmap, columns: int, *, plain: bool, ranked: bool) -> Heatmap:
    """At most `MOST_LINES` lines: a unit of one value a cell takes half a line, a bin a whole one.

    Without half blocks they take one, and two.
    """
    rows = heatmap.low.shape[0]
    binned = heatmap.is_binned or heatmap.low.shape[1] > columns
    most = MOST_LINES // (2 if plain else 1)
    single = most if binned else 2 * most
    if rows <= single:
        return heatmap
    return first_rows(heatmap, single) if ranked else heatmap.rebinned(CellBudget(rows=most))


def first_rows(heatmap: Heatmap, count: int) -> Heatmap:
    """The first rows alone."""
    edges = heatmap.unit_edges[: count + 1]
    return replace(
        heatmap, low=heatmap.low[:count], high=heatmap.high[:count], unit_edges=edges,
        units=heatmap.units[: edges[-1]],
    )  # fmt: skip


def _margin(labels: Sequence[str]) -> int:
    return max(map(len, ["unit", *labels])) + 1


def _labels(heatmap: Heatmap, *, plain: bool) -> list[str]:
    """A label for each line of text: two units share one, or a bin has two halves."""
    names = [_span(heatmap.units[first:stop]) for first, stop in pairwise(heatmap.unit_edges)]
    if heatmap.is_binned:
        return [label for name in names for label in (name, "")] if plain else names
    if plain:
        return names
    return ["/".join(names[at : at + 2]) for at in range(0, len(names), 2)]


def _span(numbers: Array) -> str:
    first, last = int(numbers[0]), int(numbers[-1])
    return str(first) if len(numbers) == 1 else f"{first}-{last}"


def heatmap_lines(laid: LaidOut, tokens: Sequence[str], *, plain: bool) -> Iterator[Text]:
    """Lines of the heatmap, and of its time axis."""
    draw = _digit_lines if plain else _block_lines
    yield from draw(laid)
    yield _axis(laid)
    if tokens and _fit(laid, tokens):
        yield _token_line(laid, tokens)


def _block_lines(laid: LaidOut) -> Iterator[Text]:
    from rich.style import Style
    from rich.text import Text

    values, limit = laid.heatmap.halves, laid.heatmap.limit
    colours = terminal_colours(values, limit)
    padding = laid.heatmap.padding
    for line, label in enumerate(laid.labels):
        text = Text(f"{label:>{laid.margin - 1}} ", no_wrap=True)
        upper = colours[2 * line]
        lower = colours[2 * line + 1] if 2 * line + 1 < len(colours) else None
        for column in range(values.shape[1]):
            if padding[column]:
                text.append(HATCH * laid.cell, Style(color=_colour(TERMINAL_PADDING)))
                continue
            below = None if lower is None else _colour(lower[column])
            style = Style(color=_colour(upper[column]), bgcolor=below)
            text.append(UPPER_HALF * laid.cell, style)
        yield text


def _digit_lines(laid: LaidOut) -> Iterator[Text]:
    from rich.text import Text

    values, limit = laid.heatmap.halves, laid.heatmap.limit
    padding = laid.heatmap.padding
    for label, row in zip(laid.labels, values, strict=True):
        cells = [
            (" /" if padded else tenths(float(value), limit)).ljust(laid.cell)
            for value, padded in zip(row, padding, strict=True)
        ]
        yield Text(f"{label:>{laid.margin - 1}} {''.join(cells)}".rstrip(), no_wrap=True)


def tenths(value: float, limit: float) -> str:
    """A sign and how many tenths of the limit a value has, ``+3``; `` 0`` below one."""
    if not np.isfinite(value):
        return " ?"
    count = min(9, int(abs(value) / limit * 10 + 1e-9))
    return " 0" if not count else f"{'-' if value < 0 else '+'}{count}"


def _axis(laid: LaidOut) -> Text:
    """Round numbers of timesteps below the cells that hold them, as many as there is room for."""
    from rich.text import Text

    marks = next(marks for every in round_sizes() if (marks := _marks(laid, every)) is not None)
    line = "step".rjust(laid.margin - 1) + " "
    for column, step in marks:
        line = line.ljust(laid.margin + column * laid.cell) + step
    return Text(line, style="dim", no_wrap=True)


def _marks(laid: LaidOut, every: int) -> list[tuple[int, str]] | None:
    """The first multiple of `every` in each column that holds one; None if they run together.

    The last one is left out where it would stand out at the right.
    """
    heatmap = laid.heatmap
    ticks = round_ticks(heatmap.steps, heatmap.step_edges, every)
    marks = [(column, str(step)) for column, step in ticks]
    for (column, step), (following, _) in pairwise(marks):
        if column * laid.cell + len(step) >= following * laid.cell:
            return None
    width = heatmap.low.shape[1] * laid.cell
    return [mark for mark in marks if mark[0] * laid.cell + len(mark[1]) <= max(width, laid.cell)]


def _fit(laid: LaidOut, tokens: Sequence[str]) -> bool:
    return not laid.heatmap.is_binned and laid.cell > max(map(len, tokens))


def _token_line(laid: LaidOut, tokens: Sequence[str]) -> Text:
    from rich.text import Text

    cells = "".join(printable(token).ljust(laid.cell) for token in tokens)
    return Text(f"{'':{laid.margin}}{cells}".rstrip(), no_wrap=True)


def token_list(laid: LaidOut, tokens: Sequence[str]) -> str:
    """Tokens with their steps, where the cells have no room for them; empty where they have."""
    if not tokens or _fit(laid, tokens):
        return ""
    steps = laid.heatmap.steps
    named = [f"{step} {token}" for step, token in zip(steps, tokens, strict=True) if token]
    more = len(named) - MOST_TOKENS
    return "  ".join(named[:MOST_TOKENS]) + (f"  … and {more} more" if more > 0 else "")


def legend(laid: LaidOut, *, plain: bool) -> Text:
    """What the colours or digits stand for."""
    from rich.style import Style
    from rich.text import Text

    heatmap = laid.heatmap
    limit = number(heatmap.limit)
    text = Text("" if not plain else f"digits: tenths of {limit}, with their sign")
    if not plain:
        text.append(f"-{limit} ")
        for colour in TERMINAL_RAMP:
            text.append("█", Style(color=_colour(colour)))
        text.append(f" {limit}")
    if heatmap.padding.any():
        text.append("   / padding" if plain else f"   {HATCH * 2} padding")
    if not (np.isfinite(heatmap.low) & np.isfinite(heatmap.high)).all():
        text.append("   ? no number" if plain else "   ")
        if not plain:
            text.append("██", Style(color=_colour(TERMINAL_NO_NUMBER))).append(" no number")
    return text


def cell_words(heatmap: Heatmap) -> str:
    """What went into a cell, where it is more than one value."""
    if not heatmap.is_binned:
        return ""
    units, steps = heatmap.per_cell
    sizes = f"{_up_to(units, 'unit')} x {_up_to(steps, 'timestep')}"
    return f"a cell is {sizes}: the largest value above, the smallest below"


def _up_to(count: int, noun: str) -> str:
    return plural(count, noun) if count == 1 else f"up to {plural(count, noun)}"


def _colour(number_in_palette: int) -> str:
    return f"color({number_in_palette})"
