"""A small SVG picture of where two traces part first, made without a library for pictures."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from math import log10

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.seeing.colours import PADDING, diverging, rgb
from rnnscope.seeing.divergence import FirstDivergence, difference_view
from rnnscope.seeing.heatmap import CellBudget, Heatmap, read_heatmap
from rnnscope.seeing.png import png_address
from rnnscope.seeing.ticks import some_round_ticks
from rnnscope.trace import Trace
from rnnscope.wording import number, printable

BEFORE, AFTER = 8, 40
"""Timesteps around the first divergence that are shown, in the order of processing."""

MOST_UNITS = 16
WIDEST_CELL, ROW = 24, 12
"""Pixels of a cell."""

LEFT, RIGHT, TOP, WIDTH = 62, 24, 76, 640
CURVE = 70
"""The height of the curve of the largest difference."""

LONGEST_LINE = 96
"""Characters of a line of the heading."""

CURVE_COLUMNS = 200


def divergence_svg(a: Trace, b: Trace, found: FirstDivergence) -> str:
    """Where two traces part first: the difference around it, and how it goes on.

    Parameters
    ----------
    a, b : Trace
    found : FirstDivergence

    Returns
    -------
    str
        An SVG document; the same for the same traces.
    """
    view = difference_view(a, b, found)
    sequence = found.sequence
    near = _near(view.steps, found.timestep, backward=view.layer.known_facts.backward)
    around = read_heatmap(view.take(steps=near), sequence)
    whole = read_heatmap(view, sequence, CellBudget(columns=CURVE_COLUMNS))
    parts = [*_heading(found), *_cells(around, found)]
    bottom = TOP + ROW * min(MOST_UNITS, len(around.units)) + 30
    parts += _curve(whole, found, bottom)
    height = bottom + CURVE + 34
    title = escape(_line(_what(found)))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="DejaVu Sans, Arial, sans-serif" '
        f'font-size="11" fill="#1a1a1a">\n<title>{title}</title>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _what(found: FirstDivergence) -> str:
    array = found.array.replace("gates/", "gate ")
    place = f"sequence {found.sequence}, timestep {found.timestep}, unit {found.unit}"
    return f"{array} of {found.layer_a} parts first at {place}"


def _line(text: str) -> str:
    clean = printable(text)
    return clean if len(clean) <= LONGEST_LINE else clean[: LONGEST_LINE - 1] + "…"


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}"{more}>{escape(text)}</text>'


def _heading(found: FirstDivergence) -> Iterator[str]:
    yield _text(8, 18, _line(_what(found)), ' font-weight="bold"')
    apart = number(found.a - found.b)
    words = f"A {found.a:.9g}, B {found.b:.9g}, A - B = {apart} ({found.tolerance})"
    yield _text(8, 34, _line(words))
    if found.gate:
        yield _text(8, 50, _line(f"where from: {found.gate}"))


def _near(steps: Array, first: int, *, backward: bool) -> Array:
    """The places of the timesteps around the first divergence."""
    before, after = (AFTER, BEFORE) if backward else (BEFORE, AFTER)
    return np.flatnonzero((steps >= first - before) & (steps <= first + after))


def _cells(around: Heatmap, found: FirstDivergence) -> Iterator[str]:
    """The units that differ most there, that of the first divergence among them."""
    sizes = np.where(np.isfinite(around.low), np.abs(around.low), np.inf)
    sizes[:, around.padding] = 0
    order = np.argsort(-sizes.max(axis=1, initial=0), kind="stable")
    first = int(np.flatnonzero(around.units == found.unit)[0])
    rows = np.sort([first, *(row for row in order if row != first)][:MOST_UNITS])
    pixels = diverging(around.low[rows], around.limit)
    pixels[:, around.padding] = rgb(PADDING)
    cell = min(WIDEST_CELL, (WIDTH - LEFT - RIGHT) / len(around.steps))
    width, height = cell * len(around.steps), ROW * len(rows)
    yield (
        f'<image x="{LEFT}" y="{TOP}" width="{width:g}" height="{height}" '
        f'preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="{png_address(pixels)}"/>'
    )
    for place, row in enumerate(rows):
        yield _text(LEFT - 6, TOP + ROW * place + ROW - 2.5, str(around.units[row]),
                    ' text-anchor="end" font-size="9"')  # fmt: skip
    yield _text(LEFT - 34, TOP - 5, "unit", ' font-size="9"')
    column = int(np.flatnonzero(around.steps == found.timestep)[0])
    row = int(np.flatnonzero(rows == first)[0])
    yield (
        f'<rect x="{LEFT + cell * column - 1:g}" y="{TOP + ROW * row - 1}" width="{cell + 2:g}" '
        f'height="{ROW + 2}" fill="none" stroke="#000000" stroke-width="1.6"/>'
    )
    edges = np.arange(len(around.steps) + 1)
    for at, step in some_round_ticks(around.steps, edges, 8):
        yield _text(LEFT + cell * (at + 0.5), TOP + height + 12, str(step),
                    ' text-anchor="middle" font-size="9"')  # fmt: skip
    legend = f"A - B, blue to red: -{number(around.limit)} to {number(around.limit)}"
    if around.padding.any():
        legend += "; grey: padding"
    yield _text(LEFT, TOP - 5, legend, ' font-size="9"')


def _curve(whole: Heatmap, found: FirstDivergence, top: float) -> Iterator[str]:
    """The largest difference of each step of the sequence, on a logarithmic scale."""
    sizes = np.maximum(np.abs(whole.low), np.abs(whole.high)).max(axis=0)
    shown = np.isfinite(sizes) & (sizes > 0) & ~whole.padding
    left, width = LEFT, WIDTH - LEFT - RIGHT
    yield (
        f'<rect x="{left}" y="{top}" width="{width}" height="{CURVE}" fill="none" '
        f'stroke="#808080" stroke-width="0.8"/>'
    )
    if not shown.any():
        return
    low, high = log10(float(sizes[shown].min())), log10(float(sizes[shown].max()))
    low, high = (low - 0.5, high + 0.5) if high - low < 1 else (low, high)

    def place(column: int) -> tuple[float, float]:
        share = (log10(float(sizes[column])) - low) / (high - low)
        return left + width * (column + 0.5) / len(sizes), top + CURVE - 4 - share * (CURVE - 8)

    for run in _runs(shown):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, run))
        yield f'<polyline points="{points}" fill="none" stroke="#0072b2" stroke-width="1.5"/>'
    at = int(np.searchsorted(whole.step_edges, int(np.argmax(whole.steps == found.timestep)),
                             side="right")) - 1  # fmt: skip
    if shown[at]:
        x, y = place(at)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="none" stroke="#000000"/>'
    for value, y in ((10**high, top + 9), (10**low, top + CURVE - 2)):
        yield _text(left - 6, y, f"{value:.0e}", ' text-anchor="end" font-size="9"')
    for column, step in some_round_ticks(whole.steps, whole.step_edges, 10):
        x = left + width * (column + 0.5) / len(sizes)
        yield _text(x, top + CURVE + 12, str(step), ' text-anchor="middle" font-size="9"')
    yield _text(left, top + CURVE + 26, "largest |A - B| of each timestep", ' font-size="9"')


def _runs(shown: Array) -> Iterator[range]:
    """Runs of columns that are shown."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], shown, [False]]).astype(int)))
    for first, stop in list(pairwise(edges.tolist()))[::2]:
        yield range(first, stop)
