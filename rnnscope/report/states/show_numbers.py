"""The states of a trace as plain numbers: a line for each unit, for a pipe.

All else begins with ``#``, so that ``numpy.loadtxt`` reads the numbers: the unit, then a number for
each timestep.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.report.contents.tree_text import tree_lines
from rnnscope.report.states.heatmap_text import cell_words
from rnnscope.seeing.heatmap import Heatmap
from rnnscope.seeing.show import ShownStates
from rnnscope.wording import plural, printable

WIDTH = 100
"""Columns of the comments: nobody reads them on a terminal of another width."""


def render(shown: ShownStates, *, width: int = WIDTH, color: bool = False) -> str:  # noqa: ARG001
    """Every cell as the shortest number that is the same in its dtype; `color` changes nothing."""
    return "".join(f"{line}\n" for line in _lines(shown))


def _lines(shown: ShownStates) -> Iterator[str]:
    for line in tree_lines(shown.trace, width=WIDTH - 2, plain=True):
        yield f"# {line}"
    heatmap = shown.heatmap
    if heatmap is None:
        yield "# It holds no states over time."
        return
    size = f"{plural(len(heatmap.units), 'unit')} x {plural(len(heatmap.steps), 'timestep')}"
    by = f", units by {shown.ranking.by}" if shown.ranked and shown.ranking is not None else ""
    yield f"# {printable(heatmap.title)}: {size}{by}"
    yield f"# padding: {_padding_words(heatmap)}"
    if shown.tokens:
        yield f"# tokens: {' '.join(map(printable, shown.tokens))}"
    yield from _rows(heatmap)


def _padding_words(heatmap: Heatmap) -> str:
    """The timesteps that are padding, ``6:10``; of several runs each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], heatmap.valid, [True]]).astype(int)))
    steps = heatmap.steps
    runs = [
        f"{steps[first]}:{steps[stop - 1] + 1}"
        for first, stop in zip(edges[::2], edges[1::2], strict=True)
    ]
    return ", ".join(runs) or "none"


def _rows(heatmap: Heatmap) -> Iterator[str]:
    edges = heatmap.step_edges
    if not heatmap.is_binned:
        yield f"# unit {' '.join(map(str, heatmap.steps))}"
        for unit, row in zip(heatmap.units, heatmap.low, strict=True):
            yield f"{unit} {_numbers(row)}"
        return
    yield f"# {cell_words(heatmap)}"
    spans = (
        f"{heatmap.steps[first]}:{heatmap.steps[stop - 1] + 1}" for first, stop in pairwise(edges)
    )
    yield f"# unit {' '.join(spans)}"
    units = heatmap.units[heatmap.unit_edges[:-1]]
    for unit, high, low in zip(units, heatmap.high, heatmap.low, strict=True):
        yield f"{unit} {_numbers(high)}"
        yield f"{unit} {_numbers(low)}"


def _numbers(row: Array) -> str:
    return " ".join(row.astype(str).tolist())
