"""How it is known what a recurrent layer computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EvidenceKind = Literal["proved", "evaluated", "by data flow", "by operator", "by configuration",
                       "by name"]  # fmt: skip
"""From the strongest to the weakest.

``proved``: the file's own computation, evaluated on random numbers, gives the states of the cell
that was read. ``evaluated``: the states are those of the file's own computation. ``by data flow``:
the cell was found in a computation that could not be evaluated; a report says why. ``by operator``:
a node of the file is the cell, by the definition of its format (ONNX ``LSTM``). ``by
configuration``: the file names the cell's class and its options. ``by name``: names and shapes of
the weights alone.
"""


@dataclass(frozen=True)
class Evidence:
    """How a layer is known, and how well.

    Attributes
    ----------
    kind : EvidenceKind
    steps : int
        Random steps that were compared; 0 if none were.
    difference : float or None
        The largest difference of any state or output, relative to the largest value (at least 1).
    detail : str
        Why it is no better, for people: ``"op RandomUniform is not computed"``.
    """

    kind: EvidenceKind
    steps: int = 0
    difference: float | None = None
    detail: str = ""

    def __str__(self) -> str:
        if self.kind == "proved":
            return f"proved on {self.steps} random steps, {self.difference or 0:.0e}"
        if self.kind == "evaluated":
            return "the graph's own computation, op by op"
        return f"{self.kind}, not proved: {self.detail}" if self.detail else self.kind


BY_NAME = Evidence("by name")
BY_CONFIGURATION = Evidence("by configuration")
BY_OPERATOR = Evidence("by operator")
EVALUATED = Evidence("evaluated")
