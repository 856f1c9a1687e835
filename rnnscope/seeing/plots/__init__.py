"""PLOTS: kinds of pictures of states, drawn with matplotlib, a module each.

A module has ``draw(figure, sources, request) -> Drawn``: it fills an empty figure and knows neither
files nor sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module

from rnnscope.errors import OptionError, spell
from rnnscope.seeing.plots.interface import Draw


@dataclass(frozen=True)
class PlotKind:
    """An entry of `PLOTS`.

    Attributes
    ----------
    module : str
        Of this package.
    title : str
        What it shows, in one line.
    """

    module: str
    title: str

    @property
    def draw(self) -> Draw:
        function: Draw = import_module(f"{__name__}.{self.module}").draw
        return function


PLOTS: dict[str, PlotKind] = {
    "heatmap": PlotKind("heatmap_plot", "units over time, in colours"),
    "units": PlotKind("units_plot", "some units over time, as lines"),
    "gates": PlotKind("gates_plot", "gates, c and m of one unit over time"),
    "saturation": PlotKind("saturation_plot", "how often the gates of each unit are saturated"),
    "norm": PlotKind("norm_plot", "the norms of c and m over time"),
    "diff": PlotKind("diff_plot", "two traces: their difference, and where they part first"),
}
"""By name; the first is the default."""


def plot_kind(name: str) -> PlotKind:
    """The kind of that name.

    Raises
    ------
    OptionError
        There is none; it suggests the nearest.
    """
    if name not in PLOTS:
        near = get_close_matches(name, PLOTS, n=1)
        raise OptionError(
            "There is no such kind of picture.",
            where=spell("kind", name),
            expected=", ".join(PLOTS),
            hint=f"did you mean {near[0]}?" if near else None,
        )
    return PLOTS[name]
