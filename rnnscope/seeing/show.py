"""What ``rnnscope show`` looks at: a trace without its numbers, a heatmap, and its units."""

from __future__ import annotations

from typing import ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, OptionError, spell
from rnnscope.printable import Printable
from rnnscope.seeing.heatmap import CellBudget, Heatmap, read_heatmap
from rnnscope.seeing.labels import TokenLabels, input_labels
from rnnscope.seeing.ranking import Ranking, rank_units
from rnnscope.seeing.state_view import StateView, open_view
from rnnscope.seeing.summary import TraceSummary, summarise
from rnnscope.trace import Trace

MOST_CELLS = 2**20
"""Cells that a heatmap has if nothing else is said; larger ones are binned."""

DEFAULT_RANKING = "variance"


@dataclass(frozen=True)
class ShowRequest:
    """What to look at.

    Attributes
    ----------
    layer, state : str or None
        As `open_view` takes them.
    sequence : int
    steps, units : str or None
        As `StateView.select` takes them.
    rank : str or None
        A key of RANKINGS: units come in this order; None: in that of the trace.
    cells : int
        The most cells of the heatmap; timesteps are binned first.
    labels : TokenLabels or None
        Tokens for the time axis; None: those of the run's input, if it has any.
    """

    layer: str | None = None
    state: str | None = None
    sequence: int = 0
    steps: str | None = None
    units: str | None = None
    rank: str | None = None
    cells: int = MOST_CELLS
    labels: TokenLabels | None = None


@dataclass(frozen=True, eq=False)
class ShownStates(Printable):
    """What ``rnnscope show`` prints.

    Attributes
    ----------
    trace : TraceSummary
    heatmap : Heatmap or None
        Rows in the order of `ranking` if that was asked for; None where the trace holds no steps.
    ranking : Ranking or None
        Of the units over the steps that are shown.
    ranked : bool
        Whether the rows of the heatmap are in that order.
    tokens : tuple of str
        One for each of the heatmap's steps; empty where nothing names them.
    """

    report_kind: ClassVar[str] = "show"

    trace: TraceSummary
    heatmap: Heatmap | None = None
    ranking: Ranking | None = None
    ranked: bool = False
    tokens: tuple[str, ...] = ()


def show_states(trace: Trace, request: ShowRequest | None = None) -> ShownStates:
    """Look at a trace.

    Raises
    ------
    RnnscopeError
        The trace lacks what was asked for; the message says what it has.
    """
    request = request or ShowRequest()
    summary = summarise(trace)
    asked = (request.layer, request.state, request.steps, request.units, request.rank)
    if not trace.sequences or not any(layer.arrays for layer in summary.layers):
        if any(one is not None for one in asked):
            raise OptionError("The trace holds no states over time.", where=trace.path)
        return ShownStates(summary)
    view = open_view(trace, request.layer, request.state).select(request.steps, request.units)
    sequence = view.check_sequence(request.sequence)
    ranking = rank_units(
        view, request.rank or DEFAULT_RANKING, slice(sequence, sequence + 1)
    )  # fmt: skip
    if request.rank is not None:
        view = view.take(units=ranking.places)
    heatmap = read_heatmap(view, sequence, _budget(view, request.cells))
    tokens = tokens_of(view, sequence, request.labels)
    return ShownStates(summary, heatmap, ranking, request.rank is not None, tokens)


def tokens_of(view: StateView, sequence: int, labels: TokenLabels | None) -> tuple[str, ...]:
    """The tokens of a view's steps: those given, or those of the run's input where they fit.

    Raises
    ------
    InputError
        Tokens that were given do not fit.
    """
    if labels is not None:
        return labels.of(view, sequence)
    header, trace = view.layer, view.trace
    if header.own_time or header.timesteps not in (None, trace.timesteps):
        return ()
    found = input_labels(trace)
    try:
        return () if found is None else found.of(view, sequence)
    except InputError:  # texts of another kind, which nobody asked for
        return ()


def _budget(view: StateView, cells: int) -> CellBudget:
    """Rows stay single as long as a column is left for each of them."""
    if cells < 1:
        raise OptionError(
            "A picture has cells.", where=spell("cells", str(cells)), expected="1 or more"
        )
    rows = min(len(view.units), cells)
    return CellBudget(rows, max(1, cells // max(1, rows)))
