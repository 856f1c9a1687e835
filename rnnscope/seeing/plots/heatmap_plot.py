"""Units over time, in colours."""

from __future__ import annotations

from typing import Any

from rnnscope.seeing.heatmap import Heatmap, read_heatmap
from rnnscope.seeing.plots.interface import PlotRequest, Sources
from rnnscope.seeing.plots.pixels import draw_cells, label_units, pixel_budget
from rnnscope.seeing.plots.time_axis import fit_title, label_time, padding_legend, shade_padding
from rnnscope.seeing.ranking import rank_units
from rnnscope.seeing.show import tokens_of
from rnnscope.seeing.state_view import open_view
from rnnscope.wording import plural, printable


def draw(figure: Any, sources: Sources, request: PlotRequest) -> list[str]:
    """A heatmap of one array of a sequence; of ranked units the first that have room."""
    view = open_view(sources.trace, request.layer, request.state)
    view = view.select(request.steps, request.units)
    sequence = view.check_sequence(request.sequence or 0)
    budget, notes = pixel_budget(figure, view), []
    if request.rank is not None:
        places = rank_units(view, request.rank, slice(sequence, sequence + 1)).places
        assert budget.rows is not None
        if len(places) > budget.rows:
            notes.append(f"the first {budget.rows} of {len(places)} units by {request.rank}")
        view = view.take(units=places[: budget.rows])
    heatmap = read_heatmap(view, sequence, budget)
    axes = figure.add_subplot()
    image = draw_cells(axes, heatmap)
    shade_padding(axes, heatmap.padding, over=True)
    padding_legend(axes, heatmap.padding)
    label = f"unit, by {request.rank}" if request.rank else "unit"
    label_units(axes, heatmap, ranked=request.rank is not None, name=label)
    notes += label_time(axes, heatmap, tokens_of(view, sequence, request.labels))
    figure.colorbar(image, ax=axes, label=array_words(heatmap.array), pad=0.015, aspect=30)
    axes.set_title(fit_title(axes, request.title or printable(heatmap.title)), loc="left")
    return notes + binned_note(heatmap)


def array_words(name: str) -> str:
    """``c``, ``m``, ``gate f``, ``outputs``."""
    return name.replace("gates/", "gate ")


def binned_note(heatmap: Heatmap) -> list[str]:
    """What went into a cell, where it is more than one value."""
    if not heatmap.is_binned:
        return []
    units, steps = heatmap.per_cell
    size = f"{plural(units, 'unit')} x {plural(steps, 'timestep')}"
    return [f"a cell is up to {size}: the largest value above, the smallest below"]
