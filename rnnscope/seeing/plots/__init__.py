"""PLOTS: kinds of pictures of states, drawn with matplotlib, a module each.

A module has ``draw(figure, sources, request) -> Drawn``: it fills an empty figure and knows neither
files nor sizes.
"""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from importlib import import_module

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.seeing.plots.interface import Draw, PlotRequest, Sources


@dataclass(frozen=True)
class PlotKind:
    """An entry of `PLOTS`.

    Attributes
    ----------
    module : str
        Of this package.
    title : str
        What it shows, in one line.
    leaves : tuple of str
        Options of pictures that say nothing to it, and are refused.
    """

    module: str
    title: str
    leaves: tuple[str, ...]

    @property
    def draw(self) -> Draw:
        function: Draw = import_module(f"{__name__}.{self.module}").draw
        return function


ONE = ("other", "tolerances")
"""Of one trace."""

PLOTS: dict[str, PlotKind] = {
    "heatmap": PlotKind("heatmap_plot", "units over time, in colours", ONE),
    "units": PlotKind("units_plot", "some units over time, as lines", ONE),
    "gates": PlotKind("gates_plot", "gates, c and m of one unit over time", (*ONE, "state")),
    "saturation": PlotKind(
        "saturation_plot", "how often gates are saturated", (*ONE, "rank", "labels")
    ),
    "norm": PlotKind("norm_plot", "the norms of c and m over time", (*ONE, "rank")),
    "diff": PlotKind("diff_plot", "two traces: their difference, and where they part first", ()),
}
"""By name; the first is the default."""


WORDS = {"other": "a second trace", "tolerances": "atol, rtol"}


def refuse_others(kind: str, sources: Sources, request: PlotRequest) -> None:
    """Refuse what a kind of picture would leave unread.

    Raises
    ------
    OptionError
    """
    given = {item.name: getattr(request, item.name) for item in fields(request)}
    given["other"] = sources.other
    for name in plot_kind(kind).leaves:
        if given[name] is not None:
            raise OptionError(
                f"A picture of kind {kind} does not take this.",
                where=WORDS.get(name) or spell(name),
                hint=f"these do: {', '.join(k for k, v in PLOTS.items() if name not in v.leaves)}",
            )


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
