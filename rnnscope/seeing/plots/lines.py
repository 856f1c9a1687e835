"""Lines over time, and bands where a column stands for several timesteps."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.model.cell import Array

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a8a00")
"""After M. Okabe and K. Ito, 'Color Universal Design' (2008), the yellow darkened for paper."""

STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), "-", "--")
"""Lines can be told apart in grey, too."""


def draw_line(axes: Any, low: Array, high: Array, number: int, label: str) -> None:
    """A line, or the band from the smallest to the largest value of each column."""
    columns = np.arange(len(low))
    colour = COLOURS[number % len(COLOURS)]
    if low is high or np.array_equal(low, high, equal_nan=True):
        marker = "o" if len(low) == 1 else None
        axes.plot(columns, low, color=colour, linestyle=STYLES[number % len(STYLES)],
                  linewidth=1.2, marker=marker, label=label)  # fmt: skip
        return
    axes.fill_between(columns, low, high, facecolor=colour, alpha=0.3, label=label)
    for edge in (low, high):
        axes.plot(columns, edge, color=colour, linewidth=0.6)


def zero_line(axes: Any) -> None:
    """A thin line at 0."""
    axes.axhline(0, color="#b0b0b0", linewidth=0.6, zorder=0.5)
