"""Some units over time, as lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rnnscope.errors import OptionError, spell
from rnnscope.seeing.heatmap import CellBudget, read_heatmap
from rnnscope.seeing.plots.heatmap_plot import array_words
from rnnscope.seeing.plots.interface import PlotRequest, Sources
from rnnscope.seeing.plots.lines import COLOURS, draw_line, zero_line
from rnnscope.seeing.plots.pixels import pixel_budget
from rnnscope.seeing.plots.time_axis import LEGEND_INCHES, fit_title, label_time, shade_padding
from rnnscope.seeing.ranking import rank_units
from rnnscope.seeing.show import tokens_of
from rnnscope.seeing.state_view import StateView, open_view
from rnnscope.wording import plural, printable

DEFAULT_UNITS = 5
DEFAULT_RANKING = "variance"


def draw(figure: Any, sources: Sources, request: PlotRequest) -> list[str]:
    """The units that were named, or the first ones of a ranking."""
    view = open_view(sources.trace, request.layer, request.state)
    view = view.select(request.steps, request.units)
    sequence = view.check_sequence(request.sequence or 0)
    notes = []
    if request.units is None or request.rank is not None:
        by = request.rank or DEFAULT_RANKING
        most = DEFAULT_UNITS if request.units is None else len(COLOURS)
        count = len(view.units)
        view = view.take(units=rank_units(view, by, slice(sequence, sequence + 1)).places[:most])
        if count > len(view.units):
            notes.append(f"the {plural(len(view.units), 'unit')} with the most {by} of {count}")
    if len(view.units) > len(COLOURS):
        raise OptionError(
            "These are too many units for one picture of lines.",
            where=spell("units", str(request.units)),
            expected=f"at most {len(COLOURS)}",
            found=str(len(view.units)),
            hint=f"name fewer, add {spell('rank')}, or draw {spell('kind', 'heatmap')}",
        )
    heatmap = read_heatmap(view, sequence, row_budget(figure, view))
    axes = figure.add_subplot()
    for number, unit in enumerate(heatmap.units):
        draw_line(axes, heatmap.low[number], heatmap.high[number], number, f"unit {unit}")
    zero_line(axes)
    shade_padding(axes, heatmap.padding, over=True)
    notes += label_time(axes, heatmap, tokens_of(view, sequence, request.labels))
    axes.set_ylabel(array_words(heatmap.array))
    axes.set_title(
        fit_title(axes, request.title or printable(heatmap.title), LEGEND_INCHES), loc="left"
    )
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False,
                  fontsize="small")  # fmt: skip
    return notes + band_note(heatmap.per_cell[1])


def band_note(steps: int) -> list[str]:
    """What a band is, where a column stands for several timesteps."""
    if steps <= 1:
        return []
    return [f"bands reach from the smallest to the largest of up to {steps} timesteps"]


def row_budget(figure: Any, view: StateView) -> CellBudget:
    """Every unit its own row; columns as there are pixels."""
    return replace(pixel_budget(figure, view), rows=None)
