"""What a kind of picture is given, and what it says beside the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from rnnscope.deferred_dataclass import dataclass
from rnnscope.seeing.labels import TokenLabels
from rnnscope.trace import Trace

if TYPE_CHECKING:
    from rnnscope.comparing.tolerance import Tolerances


@dataclass(frozen=True)
class PlotRequest:
    """What to draw.

    Attributes
    ----------
    layer, state : str or None
        As `open_view` takes them; None: what the kind of picture is best for.
    sequence : int or None
        None: the first; or all, where a picture is about all of them.
    steps, units : str or None
        As `StateView.select` takes them.
    rank : str or None
        A key of RANKINGS.
    labels : TokenLabels or None
        Tokens for the time axis; None: those of the run's input, if it has any.
    title : str or None
        In place of the one that says what is shown.
    tolerances : Tolerances or None
        Beyond which two traces differ; None: those of ``rnnscope diff``.
    """

    layer: str | None = None
    state: str | None = None
    sequence: int | None = None
    steps: str | None = None
    units: str | None = None
    rank: str | None = None
    labels: TokenLabels | None = None
    title: str | None = None
    tolerances: Tolerances | None = None


@dataclass(frozen=True)
class Sources:
    """The trace to draw, and the one to compare it with, if there is one."""

    trace: Trace
    other: Trace | None = None


class Draw(Protocol):
    """Draws into an empty figure of its final size and resolution, and returns notes.

    `figure` is a matplotlib Figure with constrained layout. Notes are sentences about what the
    picture does not show by itself: bins, units left out.
    """

    def __call__(self, figure: Any, sources: Sources, request: PlotRequest) -> list[str]: ...
