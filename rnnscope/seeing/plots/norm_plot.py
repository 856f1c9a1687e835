"""The norms of c and m over time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.errors import OptionError
from rnnscope.files.arrays.array_views import Lazy, blocks, full_key
from rnnscope.files.arrays.stored_array import Key, StoredArray
from rnnscope.model.cell import Array
from rnnscope.seeing.heatmap import read_heatmap
from rnnscope.seeing.plots.interface import PlotRequest, Sources
from rnnscope.seeing.plots.lines import draw_line
from rnnscope.seeing.plots.time_axis import LEGEND_INCHES, fit_title, label_time, shade_padding
from rnnscope.seeing.plots.units_plot import band_note, row_budget
from rnnscope.seeing.show import tokens_of
from rnnscope.seeing.state_view import StateView, open_view, view_names
from rnnscope.wording import printable


class Norm(Lazy):
    """The Euclidean norm over units of each step, in float64: (sequence, timestep, 1)."""

    def __init__(self, source: StoredArray) -> None:
        self._source = source
        self.shape = (*source.shape[:2], 1)
        self.dtype = np.dtype(np.float64)

    def _part(self, key: Key) -> Array:
        rows, steps, _ = key
        norms = np.empty((rows.stop - rows.start, steps.stop - steps.start, 1))
        row_bytes = self._source.shape[2] * norms.itemsize
        for part in blocks(norms.shape[:2], row_bytes):
            at_rows, at_steps = full_key(part, norms.shape[:2])
            place = (
                slice(rows.start + at_rows.start, rows.start + at_rows.stop),
                slice(steps.start + at_steps.start, steps.start + at_steps.stop),
            )
            values = self._source.read(place).astype(np.float64)
            norms[at_rows, at_steps] = np.sqrt(np.square(values).sum(axis=2, keepdims=True))
        return norms


def draw(figure: Any, sources: Sources, request: PlotRequest) -> list[str]:
    """Both norms of a layer, or that of the array that was named."""
    trace = sources.trace
    layer = open_view(trace, request.layer, request.state).layer.name
    held = view_names(trace, layer)
    wanted = ("c", "m") if request.state is None else (request.state,)
    views = [open_view(trace, layer, name).select(request.steps, request.units)
             for name in wanted if request.state or name in held]  # fmt: skip
    if not views:
        raise OptionError("The layer has neither c nor m.", where=f"{trace.path}: {layer}")
    sequence = views[0].check_sequence(request.sequence or 0)
    axes = figure.add_subplot()
    for number, view in enumerate(views):
        heatmap = read_heatmap(norm_view(view), sequence, row_budget(figure, view))
        draw_line(axes, heatmap.low[0], heatmap.high[0], number, f"|{view.name}|")
    axes.set_ylim(bottom=0)
    shade_padding(axes, heatmap.padding, over=True)
    notes = label_time(axes, heatmap, tokens_of(views[0], sequence, request.labels))
    axes.set_ylabel("norm over units")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False,
                  fontsize="small")  # fmt: skip
    names = " and ".join(view.name for view in views)
    title = f"norm of {names} of {printable(layer)}, sequence {sequence}"
    axes.set_title(fit_title(axes, request.title or title, LEGEND_INCHES), loc="left")
    return notes + band_note(heatmap.per_cell[1])


def norm_view(view: StateView) -> StateView:
    """A view of one row, the norm over the units of another."""
    return replace(view, array=Norm(view.array), units=np.zeros(1, np.int64))
