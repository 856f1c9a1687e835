"""How often the gates of each unit are saturated.

References
----------
A. Karpathy, J. Johnson and L. Fei-Fei, 'Visualizing and Understanding Recurrent Networks' (2015),
section 4.2 and figure 3: a point a unit, at the fractions of time in which its gate is below 0.1
(left-saturated) and above 0.9 (right-saturated).
"""

from __future__ import annotations

from typing import Any

from rnnscope.errors import OptionError, spell
from rnnscope.seeing.plots.heatmap_plot import array_words
from rnnscope.seeing.plots.interface import PlotRequest, Sources
from rnnscope.seeing.plots.lines import COLOURS
from rnnscope.seeing.plots.time_axis import fit_title
from rnnscope.seeing.ranking import SATURATED, Saturation, measure_units, saturation_bounds
from rnnscope.seeing.state_view import CANDIDATES, open_view
from rnnscope.trace import LayerHeader, Trace
from rnnscope.wording import plural, printable

MARKERS = "osD^vP*X"


def draw(figure: Any, sources: Sources, request: PlotRequest) -> list[str]:
    """A panel for each gate, a colour for each layer; all sequences unless one is named."""
    trace = sources.trace
    layers = _gated_layers(trace, request.layer)
    gates = list(dict.fromkeys(g for layer in layers for g in layer.gates if g not in CANDIDATES))
    if request.state is not None:
        gates = [gate for gate in gates if gate == request.state.removeprefix("gates/")]
    if not gates:
        raise OptionError(
            "This is no gate that could saturate.", where=spell("state", str(request.state)),
            expected=", ".join(sorted({g for one in layers for g in one.gates} - CANDIDATES)),
        )  # fmt: skip
    rows = slice(None)
    if request.sequence is not None:
        one = open_view(trace, layers[0].name).check_sequence(request.sequence)
        rows = slice(one, one + 1)
    steps: set[int] = set()
    panels = figure.subplots(1, len(gates), sharex=True, sharey=True, squeeze=False)[0]
    for axes, gate in zip(panels, gates, strict=True):
        for number, layer in enumerate(layers):
            if gate in layer.gates:
                steps.add(_points(axes, trace, layer, gate, rows, request, number))
        axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal", title=f"gate {gate}",
                 xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])  # fmt: skip
        # A step is at one end or at the other: no unit lies beyond this line.
        axes.plot([0, 1], [1, 0], color="#b0b0b0", linewidth=0.6, zorder=0.5)
    panels[len(panels) // 2].set_xlabel(f"fraction right-saturated\n(above {1 - SATURATED:g})")
    panels[0].set_ylabel(f"fraction left-saturated\n(below {SATURATED:g})")
    if len(layers) > 1:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center",
                      frameon=False, ncols=2, fontsize="small")  # fmt: skip
    figure.suptitle(
        fit_title(panels[0], request.title or _title(layers, request)),
        x=0.01,
        ha="left",
        fontsize="large",
    )
    if len(steps) > 1:
        return [f"over {min(steps)} to {max(steps)} valid timesteps, by layer"]
    return [f"over {plural(max(steps), 'valid timestep')}"]


def _points(
    axes: Any, trace: Trace, layer: LayerHeader, gate: str, rows: slice, request: PlotRequest,
    number: int,
) -> int:  # fmt: skip
    """Draw a layer's units; how many steps each is measured over."""
    view = open_view(trace, layer.name, f"gates/{gate}").select(request.steps, request.units)
    score = Saturation(len(view.units), saturation_bounds(view))
    measure_units(view, score, rows)
    left, right = score.fractions()
    axes.scatter(
        right, left, s=14, marker=MARKERS[number % len(MARKERS)], alpha=0.6, linewidths=0.5,
        edgecolors=COLOURS[number % len(COLOURS)], facecolors=COLOURS[number % len(COLOURS)],
        label=printable(layer.name), clip_on=False,
    )  # fmt: skip
    return score.count


def _title(layers: list[LayerHeader], request: PlotRequest) -> str:
    where = printable(layers[0].name) if len(layers) == 1 else plural(len(layers), "layer")
    which = "" if request.sequence is None else f", sequence {request.sequence}"
    return f"{array_words('saturation of gates')}: {where}{which}"


def _gated_layers(trace: Trace, name: str | None) -> list[LayerHeader]:
    headers = trace.layers if name is None else (trace.layer(name),)
    found = [header for header in headers if set(header.gates) - CANDIDATES]
    if not found:
        raise OptionError(
            "The trace holds no gates" + (" of this layer." if name else "."),
            where=trace.path if name is None else f"{trace.path}: {name}",
            expected="gates of every step",
            hint=f"run again with {spell('gates')}",
        )
    return found
