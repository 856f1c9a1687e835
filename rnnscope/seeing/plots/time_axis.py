"""What all pictures over time share: the time axis with its tokens, and shaded padding."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.seeing.colours import PADDING
from rnnscope.seeing.heatmap import Heatmap
from rnnscope.seeing.ticks import round_sizes, some_round_ticks

TOKEN_POINTS, SMALLEST_POINTS = 8.0, 5.5
"""The size of tokens where there is room, and the smallest that can be read in print."""

TICK_POINTS, GAP_POINTS = 9.0, 9.0
ADVANCE = 0.65
"""How wide a character is at most, by its size, in all but a few scripts."""

NARROWEST_TITLE = 12
"""Characters."""

LEGEND_INCHES = 1.2

LONGEST_TOKEN = 14
"""Characters of a token; longer ones are cut."""

POINTS_PER_INCH = 72

MOST_TICKS = 11


def label_time(axes: Any, heatmap: Heatmap, tokens: Sequence[str]) -> list[str]:
    """Name the timesteps of an axis whose columns are 0, 1, 2 …; notes on what has no room.

    Without tokens the ticks are round numbers of timesteps. Tokens stand upright where they are
    short enough, else they are turned; of too many every second, fifth … is shown.
    """
    columns = heatmap.low.shape[1]
    axes.set_xlim(-0.5, columns - 0.5)
    if not tokens:
        wide = len(str(heatmap.steps.max(initial=0))) * TICK_POINTS * ADVANCE + GAP_POINTS
        most = max(2, min(MOST_TICKS, int(_axes_inches(axes) * POINTS_PER_INCH / wide)))
        ticks = some_round_ticks(heatmap.steps, heatmap.step_edges, most)
        axes.set_xticks([column for column, _ in ticks], [str(step) for _, step in ticks])
        axes.set_xlabel("timestep")
        return []
    room = _axes_inches(axes) * POINTS_PER_INCH / max(1, columns)
    shown = [_cut(tokens[at]) for at in heatmap.step_edges[:-1]]
    size = min(TOKEN_POINTS, max(SMALLEST_POINTS, room / 1.25))
    upright = max(map(len, shown)) * size * ADVANCE < room
    every = 1 if upright else next(n for n in round_sizes() if room * n >= size * 1.2)
    places = np.arange(0, columns, every)
    axes.set_xticks(places, [shown[at] for at in places])
    axes.tick_params(axis="x", labelsize=size, labelrotation=0 if upright else 90)
    axes.set_xlabel("token" if every == 1 else f"token (one of {every} is named)")
    notes = []
    if every > 1 or heatmap.is_binned:
        notes.append(f"{len(places)} of {len(tokens)} tokens are named: there is no room for more")
    if any(len(token) > LONGEST_TOKEN for token in tokens):
        notes.append(f"tokens are cut after {LONGEST_TOKEN} characters")
    return notes


def _cut(token: str) -> str:
    return token if len(token) <= LONGEST_TOKEN else token[: LONGEST_TOKEN - 1] + "…"


def _axes_inches(axes: Any) -> float:
    """The width of an axes before the layout is known: a little less than the figure's."""
    width: float = axes.figure.get_size_inches()[0]
    return width * 0.82


def shade_padding(axes: Any, padding: Array, *, over: bool) -> None:
    """Shade the columns past the length.

    Parameters
    ----------
    axes : matplotlib Axes
    padding : ndarray of bool (column,)
    over : bool
        In front of what is drawn, which shows through; else behind it.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], padding, [False]]).astype(int)))
    label: str | None = "padding"
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        axes.axvspan(
            first - 0.5, stop - 0.5, facecolor=PADDING, alpha=0.75 if over else 0.6, hatch="////",
            edgecolor="#a0a0a0", linewidth=0, zorder=3 if over else 0, label=label,
        )  # fmt: skip
        label = None


def padding_legend(axes: Any, padding: Array) -> None:
    """Say what the shade is, below the axes at the right."""
    if padding.any():
        handles = axes.get_legend_handles_labels()
        axes.figure.legend(*handles, loc="outside lower right", frameon=False, fontsize="small",
                           borderpad=0, handlelength=1.4)  # fmt: skip


def fit_title(axes: Any, title: str, beside: float = 0.0) -> str:
    """A title broken into lines that are no wider than the axes.

    Parameters
    ----------
    axes : matplotlib Axes
    title : str
    beside : float
        Inches that a legend at its right takes.
    """
    room = (_axes_inches(axes) - beside) * POINTS_PER_INCH / (TICK_POINTS * ADVANCE)
    width = max(NARROWEST_TITLE, int(room))
    return "\n".join(part for line in title.split("\n") for part in wrap(line, width))
