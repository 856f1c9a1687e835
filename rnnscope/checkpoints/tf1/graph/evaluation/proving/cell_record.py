"""What was recorded of a layer's steps, or why nothing could be."""

from __future__ import annotations

from dataclasses import field

from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError


class StepsError(EvaluationError):
    """The steps of a layer are not those of one layer."""


@dataclass(frozen=True)
class Obstacle:
    """Why a layer, or a value, could not be recorded.

    Attributes
    ----------
    words : str
    refuses : bool
        Whether the layer itself is not understood, so that what was read of it must not run.
    lacks : str
        The model's input whose value is needed and not given; empty where it is something else.
    """

    words: str
    refuses: bool = False
    lacks: str = ""


@dataclass(frozen=True, eq=False)
class CellRecord:
    """What one layer read and left in each step, in the order of processing.

    Attributes
    ----------
    x : ndarray (step, sequence, input)
    before, after : dict of str to ndarray (step, sequence, width)
        Each state as the step read it, and as the cell left it.
    carried : dict of str to ndarray (step, sequence, width)
        Each state as the next step read it; the last step's as the loop handed it on.
    written : dict of GraphTensor to ndarray (step, sequence, width)
        What the steps put into lists, for a cell in a loop.
    variables : dict of str to ndarray (step, sequence, width)
        Each state as the loop's own variable holds it after the step, where the cell reads it
        changed (a decayed c); as `carried` elsewhere.
    counts : ndarray of bool (step, sequence) or None
        The steps that count, where the graph says so beside the states: of fused ops, which compute
        on past the length.
    """

    x: Array
    before: dict[str, Array]
    after: dict[str, Array]
    carried: dict[str, Array]
    written: dict[GraphTensor, Array] = field(default_factory=dict)
    variables: dict[str, Array] = field(default_factory=dict)
    counts: Array | None = None

    @property
    def states(self) -> dict[str, Array]:
        """Each state after each step (step, sequence, width)."""
        return self.carried | self.variables

    @property
    def steps(self) -> int:
        return int(self.x.shape[0])
