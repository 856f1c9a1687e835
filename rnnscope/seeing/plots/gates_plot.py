"""Gates, c and m of one unit over time, a panel each."""

from __future__ import annotations

from typing import Any

from rnnscope.errors import OptionError, spell
from rnnscope.seeing.heatmap import Heatmap, read_heatmap
from rnnscope.seeing.plots.heatmap_plot import array_words
from rnnscope.seeing.plots.interface import PlotRequest, Sources
from rnnscope.seeing.plots.lines import draw_line, zero_line
from rnnscope.seeing.plots.time_axis import fit_title, label_time, shade_padding
from rnnscope.seeing.plots.units_plot import band_note, row_budget
from rnnscope.seeing.ranking import rank_units
from rnnscope.seeing.show import tokens_of
from rnnscope.seeing.state_view import StateView, open_view, view_names
from rnnscope.trace import LayerHeader, Trace
from rnnscope.wording import printable

DEFAULT_RANKING = "variance"


def draw(figure: Any, sources: Sources, request: PlotRequest) -> list[str]:
    """The unit that was named, or the one whose cell state varies most."""
    trace = sources.trace
    header = _gated_layer(trace, request.layer)
    names = [f"gates/{gate}" for gate in header.gates]
    held = view_names(trace, header.name)
    main = "c" if "c" in held else names[0]
    unit, sequence, notes = _unit(open_view(trace, header.name, main), request)
    notes += [f"{name} is not shown: its units are others than those of the gates"
              for name in ("m",) if name in held and not _same_units(header)]  # fmt: skip
    states = [n for n in ("c", "m") if n in held and (n == "c" or _same_units(header))]
    shown = [*names, *states]
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for number, (axes, name) in enumerate(zip(panels, shown, strict=True)):
        view = open_view(trace, header.name, name).select(request.steps, str(unit))
        heatmap = read_heatmap(view, sequence, row_budget(figure, view))
        _panel(axes, heatmap, number)
    tokens = tokens_of(view, sequence, request.labels)
    notes += label_time(panels[-1], heatmap, tokens)
    where = f"unit {unit} of {printable(header.name)}, sequence {sequence}"
    figure.suptitle(
        fit_title(panels[0], request.title or where), x=0.01, ha="left", fontsize="large"
    )
    return notes + band_note(heatmap.per_cell[1])


def _panel(axes: Any, heatmap: Heatmap, number: int) -> None:
    draw_line(axes, heatmap.low[0], heatmap.high[0], number, heatmap.array)
    shade_padding(axes, heatmap.padding, over=True)
    if heatmap.is_gate:
        axes.set_ylim(-0.05, 1.05)
        axes.set_yticks([0, 1])
    else:
        zero_line(axes)
        axes.margins(y=0.15)
    axes.set_ylabel(array_words(heatmap.array).removeprefix("gate "), rotation=0, ha="right",
                    va="center")  # fmt: skip
    axes.tick_params(axis="y", labelsize="small")


def _same_units(header: LayerHeader) -> bool:
    return not header.projected and header.widths.get("m") == header.unit_size


def _unit(view: StateView, request: PlotRequest) -> tuple[int, int, list[str]]:
    """The unit, the sequence, and how the unit was chosen."""
    view = view.select(request.steps, request.units)
    sequence = view.check_sequence(request.sequence or 0)
    if request.units is not None and len(view.units) > 1 and request.rank is None:
        raise OptionError(
            "A picture of gates shows one unit.",
            where=spell("units", request.units),
            expected="one",
            found=str(len(view.units)),
            hint=f"name one, or say by what to choose: {spell('rank')}",
        )
    by = request.rank or DEFAULT_RANKING
    if len(view.units) == 1:
        return int(view.units[0]), sequence, []
    found = rank_units(view, by, slice(sequence, sequence + 1))
    note = f"unit {found.units[0]} is the one with the most {by} of {view.name}"
    return int(found.units[0]), sequence, [note]


def _gated_layer(trace: Trace, name: str | None) -> LayerHeader:
    headers = trace.layers if name is None else (trace.layer(name),)
    found = next((header for header in headers if header.gates), None)
    if found is None:
        raise OptionError(
            "The trace holds no gates" + (" of this layer." if name else "."),
            where=trace.path if name is None else f"{trace.path}: {name}",
            expected="gates of every step",
            hint=f"run again with {spell('gates')}",
        )
    return found
