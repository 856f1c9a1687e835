"""The states of a trace in a terminal: the tree, a heatmap, and units as sparklines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from rnnscope.report.console import text_of
from rnnscope.report.heatmap_text import (
    cell_words,
    heatmap_lines,
    lay_out,
    legend,
    token_list,
)
from rnnscope.report.sparkline_text import sparkline
from rnnscope.report.text_blocks import heading, lines, pairs, table
from rnnscope.report.tree_text import tree_lines
from rnnscope.seeing.heatmap import CellBudget, Heatmap
from rnnscope.seeing.show import ShownStates
from rnnscope.seeing.summary import TraceSummary
from rnnscope.wording import number, plural, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_UNITS = 8
"""Units that are shown as sparklines."""

WIDEST_SPARKLINE = 60


def render(shown: ShownStates, *, width: int = 100, color: bool = False) -> str:
    """What a trace looks like.

    Parameters
    ----------
    shown : ShownStates
    width : int
        Columns.
    color : bool
        Half blocks in 256 colours; without it everything is ASCII, and cells are signed digits.

    Returns
    -------
    str
        Lines without trailing blanks, with a newline at the end.
    """
    return text_of(_parts(shown, width, plain=not color), width=width, color=color, shades=True)


def _parts(shown: ShownStates, width: int, *, plain: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    yield pairs(head(shown.trace))
    tree = "\n".join(tree_lines(shown.trace, width=width, plain=plain))
    yield Text(tree, no_wrap=True, overflow="ignore")
    if shown.trace.notes:
        yield lines("notes", shown.trace.notes)
    if shown.heatmap is None:
        yield Text("It holds no states over time.")
        return
    yield from _picture(shown, shown.heatmap, width, plain=plain)
    if len(shown.heatmap.units) == shown.heatmap.low.shape[0]:
        yield from _units(shown, shown.heatmap, width, plain=plain)


def head(trace: TraceSummary) -> Iterator[tuple[str, str]]:
    """Where a trace comes from, as labels and words."""
    size = f"{plural(trace.sequences, 'sequence')} x {plural(trace.timesteps, 'timestep')}"
    yield "trace", f"{size}, {trace.lengths}"
    if trace.checkpoint:
        made = ", ".join(part for part in (trace.checkpoint_format, trace.framework) if part)
        yield "checkpoint", f"{trace.checkpoint} ({made})" if made else trace.checkpoint
    if trace.input:
        yield "input", trace.input
    if trace.engine:
        yield "engine", f"{trace.engine}, rnnscope {trace.rnnscope_version}"
    if trace.selection:
        yield "kept", ", ".join(trace.selection)


def _picture(
    shown: ShownStates, heatmap: Heatmap, width: int, *, plain: bool
) -> Iterator[RenderableType]:
    from rich.console import Group
    from rich.text import Text

    longest = max(map(len, shown.tokens), default=0)
    laid = lay_out(heatmap, width=width, plain=plain, ranked=shown.ranked, longest_token=longest)
    body: list[RenderableType] = [heading(_title(shown, heatmap, len(laid.heatmap.units)))]
    body += heatmap_lines(laid, shown.tokens, plain=plain)
    body.append(legend(laid, plain=plain))
    if words := cell_words(laid.heatmap):
        body.append(Text(words))
    yield Group(*body)
    if listed := token_list(laid, shown.tokens):
        yield pairs([("tokens", listed)])


def _title(shown: ShownStates, heatmap: Heatmap, rows: int) -> str:
    units = plural(len(heatmap.units), "unit")
    if rows < len(heatmap.units):
        units = f"the first {rows} of {units}"
    if shown.ranked and shown.ranking is not None:
        units += f" by {shown.ranking.by}"
    steps = plural(len(heatmap.steps), "timestep")
    return f"{heatmap.title}: {units} x {steps}"


def _units(
    shown: ShownStates, heatmap: Heatmap, width: int, *, plain: bool
) -> Iterator[RenderableType]:
    from rich.console import Group

    ranking = shown.ranking
    assert ranking is not None
    places = {int(unit): row for row, unit in enumerate(heatmap.units)}
    wanted = list(zip(ranking.units.tolist(), ranking.scores.tolist(), strict=True))[:MOST_UNITS]
    rows = []
    head = len(f"unit  {ranking.by}  -0.000123  -0.000123  ") + 2
    narrow = heatmap.rebinned(CellBudget(columns=max(8, min(WIDEST_SPARKLINE, width - head))))
    for unit, score in wanted:
        low, high = heatmap.low[places[unit]], heatmap.high[places[unit]]
        counted = ~heatmap.padding if not heatmap.padding.all() else heatmap.padding
        line = sparkline(narrow.high[places[unit]], narrow.padding, plain=plain)
        rows.append([str(unit), _number(score), _number(low[counted].min()),
                     _number(high[counted].max()), line])  # fmt: skip
    over_time = "largest over time" if narrow.is_binned else "over time"
    columns = ["unit", ranking.by, "min", "max", over_time]
    count = f"{len(wanted)} of {plural(len(ranking.units), 'unit')} with the most {ranking.by}"
    title = f"the {count}" if len(wanted) < len(ranking.units) else f"units by {ranking.by}"
    yield Group(heading(title), table(columns, rows, right={"unit", ranking.by, "min", "max"}))


def _number(value: float) -> str:
    return number(value) if np.isfinite(value) else printable(str(float(value)))
