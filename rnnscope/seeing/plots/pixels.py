"""How many cells an axes has room for, and heatmaps as images."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.seeing.colours import ANCHORS, NO_NUMBER
from rnnscope.seeing.heatmap import CellBudget, Heatmap
from rnnscope.seeing.state_view import StateView
from rnnscope.seeing.ticks import some_round_ticks

ROOM = 0.75
"""The share of the figure that is left to the cells, so that none is thinner than a pixel."""

LABELS_PER_INCH = 5

BIN_PIXELS = 8
"""The height of a bin: four pixels for its largest value, four for its smallest."""

FINEST_DPI = 300
"""Pictures made of vectors are binned as for this resolution."""


def pixel_budget(figure: Any, view: StateView, *, rows: float = 1.0) -> CellBudget:
    """Cells of a pixel at least; bins are higher, so that both their halves are seen.

    Parameters
    ----------
    figure : matplotlib Figure
    view : StateView
        What is to be drawn.
    rows : float
        The share of the figure's height.
    """
    width, height = figure.get_size_inches() * min(figure.dpi, FINEST_DPI) * ROOM
    columns, pixels = max(1, int(width)), max(1, int(height * rows))
    binned = len(view.steps) > columns or len(view.units) > pixels
    return CellBudget(max(1, pixels // BIN_PIXELS) if binned else pixels, columns)


def colour_map() -> Any:
    """The diverging colours as matplotlib takes them."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("rnnscope", ANCHORS, N=256)
    return colours.with_extremes(bad=NO_NUMBER)


def draw_cells(axes: Any, heatmap: Heatmap) -> Any:
    """The cells as an image; what is no number is yellow. Bins have their largest value above."""
    rows, columns = heatmap.low.shape
    values = np.ma.masked_invalid(heatmap.halves)
    return axes.imshow(
        values, aspect="auto", interpolation="nearest", cmap=colour_map(), vmin=-heatmap.limit,
        vmax=heatmap.limit, extent=(-0.5, columns - 0.5, rows - 0.5, -0.5), resample=False,
    )  # fmt: skip


def label_units(axes: Any, heatmap: Heatmap, *, ranked: bool, name: str = "unit") -> None:
    """Name the rows: each where few, else round numbers; a bin by its first unit."""
    rows = heatmap.low.shape[0]
    units = heatmap.units[heatmap.unit_edges[:-1]]
    most = max(2, int(axes.figure.get_size_inches()[1] * LABELS_PER_INCH))
    if ranked or rows <= most:
        places = list(range(0, rows, -(-rows // most)))
        names = [str(unit) for unit in units[places]]
    else:
        ticks = some_round_ticks(heatmap.units, heatmap.unit_edges, most // 2)
        places, names = [row for row, _ in ticks], [str(unit) for _, unit in ticks]
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", labelsize="small")
    axes.set_ylabel(name)
