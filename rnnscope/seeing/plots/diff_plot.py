"""Two traces: their difference over time, and where they part first."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.errors import OptionError, spell
from rnnscope.seeing.divergence import FirstDivergence, diff_traces, first_divergence, subtract
from rnnscope.seeing.heatmap import Heatmap, read_heatmap
from rnnscope.seeing.plots.heatmap_plot import array_words, binned_note
from rnnscope.seeing.plots.interface import PlotRequest, Sources
from rnnscope.seeing.plots.lines import COLOURS
from rnnscope.seeing.plots.pixels import draw_cells, label_units, pixel_budget
from rnnscope.seeing.plots.time_axis import (
    fit_title,
    label_time,
    padding_legend,
    shade_padding,
)
from rnnscope.seeing.ranking import rank_units
from rnnscope.seeing.show import tokens_of
from rnnscope.seeing.state_view import StateView, open_view
from rnnscope.trace import Trace
from rnnscope.wording import number, printable

FEW_DECADES = 2
"""Below so many powers of ten, 2 and 5 are named on the axis of the differences, too."""


def draw(figure: Any, sources: Sources, request: PlotRequest) -> list[str]:
    """A - B of the array in which they part first, or of the one named; below it how much a step.

    The first divergence is marked where it is within what is shown.
    """
    a, b = sources.trace, sources.other
    if b is None:
        raise OptionError(
            "A picture of a difference needs two traces.", where=spell("kind", "diff"),
            expected="a second trace", found="one",
        )  # fmt: skip
    found = first_divergence(a, diff_traces(a, b, request.tolerances))
    view = _view(a, b, found, request)
    first = found.sequence if found is not None and request.sequence is None else 0
    sequence = view.check_sequence(request.sequence if request.sequence is not None else first)
    if request.rank is not None:
        view = view.take(units=rank_units(view, request.rank, slice(sequence, sequence + 1)).places)
    heatmap = read_heatmap(view, sequence, pixel_budget(figure, view, rows=0.6))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    image = draw_cells(above, heatmap)
    shade_padding(above, heatmap.padding, over=True)
    label_units(above, heatmap, ranked=request.rank is not None)
    figure.colorbar(image, ax=above, label=f"A - B of {array_words(view.name)}", pad=0.015,
                    aspect=24)  # fmt: skip
    _growth(below, heatmap)
    notes = label_time(below, heatmap, tokens_of(view, sequence, request.labels))
    above.tick_params(axis="x", labelbottom=False)
    marked = _mark(above, heatmap, found)
    where = f"A - B of {printable(view.layer.name)}, sequence {sequence}"
    above.set_title(fit_title(above, request.title or f"{where}\n{marked}"), loc="left", pad=9)
    padding_legend(above, heatmap.padding)
    notes.append(marked)
    return notes + binned_note(heatmap)


def _view(a: Trace, b: Trace, found: FirstDivergence | None, request: PlotRequest) -> StateView:
    layer_a, name = request.layer, request.state
    layer_b = request.layer
    if found is not None and request.layer in (None, found.layer_a):
        layer_a, layer_b, name = found.layer_a, found.layer_b, request.state or found.array
    view = subtract(open_view(a, layer_a, name), open_view(b, layer_b, name))
    return view.select(request.steps, request.units)


def _growth(axes: Any, heatmap: Heatmap) -> None:
    """The largest difference of each column, on a logarithmic axis unless all are 0."""
    sizes = np.maximum(np.abs(heatmap.low), np.abs(heatmap.high)).max(axis=0)
    columns = np.arange(len(sizes))
    known = np.isfinite(sizes) & (sizes > 0) & ~heatmap.padding
    axes.plot(columns, np.where(known, sizes, np.nan), color=COLOURS[0], linewidth=1.2,
              marker="o" if len(sizes) <= 40 else None, markersize=3)  # fmt: skip
    if known.any():
        from matplotlib.ticker import LogLocator, NullFormatter

        axes.set_yscale("log")
        narrow = np.nanmax(sizes[known]) < 10**FEW_DECADES * np.nanmin(sizes[known])
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=5))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.margins(y=0.2)
    else:
        axes.set_yticks([0])
    axes.set_ylabel("largest\n|A - B|", fontsize="small")
    axes.tick_params(axis="y", labelsize="small")
    shade_padding(axes, heatmap.padding, over=True)


def _mark(axes: Any, heatmap: Heatmap, found: FirstDivergence | None) -> str:
    """A ring around the first divergence, and its place in words."""
    if found is None:
        return "the same within the tolerance"
    words = (
        f"{array_words(found.array)} of sequence {found.sequence}, timestep {found.timestep}, "
        f"unit {found.unit}: A - B = {number(found.a - found.b)}"
    )
    step, unit = heatmap.steps == found.timestep, heatmap.units == found.unit
    here = (heatmap.layer, heatmap.array, heatmap.sequence) == (
        found.layer_a, found.array, found.sequence
    )  # fmt: skip
    if not (here and step.any() and unit.any()):
        return f"first elsewhere: {printable(found.layer_a)}, {words}"
    column = np.searchsorted(heatmap.step_edges, int(step.argmax()), side="right") - 1
    row = np.searchsorted(heatmap.unit_edges, int(unit.argmax()), side="right") - 1
    axes.plot(column, row, marker="o", markersize=11, fillstyle="none", color="black",
              markeredgewidth=1.4, zorder=4, clip_on=False)  # fmt: skip
    axes.axvline(column, color="black", linewidth=0.7, linestyle=":", zorder=3.5)
    return f"first: {words}"
