"""Looking at the states of a trace: what pictures, pages and the terminal show, as plain numbers.

A `StateView` is one array of a layer, unread; `read_heatmap` reads a sequence of it into units by
timesteps, binned where it is large; `rank_units` orders its units; `first_divergence` and
`subtract` compare two. Nothing here knows where it will be shown.
"""

from rnnscope.seeing.colours import diverging
from rnnscope.seeing.divergence import (
    FirstDivergence,
    diff_traces,
    difference_view,
    first_divergence,
    subtract,
)
from rnnscope.seeing.heatmap import CellBudget, Heatmap, read_heatmap
from rnnscope.seeing.labels import TokenLabels, input_labels, read_labels
from rnnscope.seeing.ranking import RANKINGS, Ranking, rank_units
from rnnscope.seeing.state_view import StateView, open_view, view_names

__all__ = [
    "RANKINGS",
    "CellBudget",
    "FirstDivergence",
    "Heatmap",
    "Ranking",
    "StateView",
    "TokenLabels",
    "diff_traces",
    "difference_view",
    "diverging",
    "first_divergence",
    "input_labels",
    "open_view",
    "rank_units",
    "read_heatmap",
    "read_labels",
    "subtract",
    "view_names",
]
