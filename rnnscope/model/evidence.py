"""How it is known what a recurrent layer computes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from rnnscope.deferred_dataclass import dataclass

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
        Why it is no better, for people: ``"op RandomUniform is not computed"``; for a layer that
        is proved: of what that is not so, ``"the cell alone: …"``.
    """

    kind: EvidenceKind
    steps: int = 0
    difference: float | None = None
    detail: str = ""

    def __str__(self) -> str:
        if self.kind == "proved":
            words = f"proved on {self.steps} random steps, below {_bound(self.difference or 0)}"
            return f"{words} ({self.detail})" if self.detail else words
        if self.kind == "evaluated":
            return "the graph's own computation, op by op"
        return f"{self.kind}, not proved: {self.detail}" if self.detail else self.kind

    @classmethod
    def of_all(cls, several: Iterable[Evidence]) -> Evidence:
        """What can be said of several layers known in one way: the fewest steps, the worst."""
        first, *others = several
        known = (first, *others)
        differences = [one.difference for one in known if one.difference is not None]
        return cls(
            first.kind,
            min(one.steps for one in known),
            max(differences, default=None),
            "; ".join(dict.fromkeys(one.detail for one in known if one.detail)),
        )


LEAST_BOUND = 1e-12
MARGIN = 5
"""Processors round differently: a bound that leaves room reads the same on all of them."""


def _bound(difference: float) -> str:
    """The power of ten that a difference, with some room, does not reach: ``"1e-6"``."""
    # Rounded, as the logarithm of a power of ten may come out a little above a whole number.
    exponent = math.ceil(round(math.log10(max(MARGIN * difference, LEAST_BOUND)), 9))
    return f"1e{exponent}"


BY_NAME = Evidence("by name")
BY_CONFIGURATION = Evidence("by configuration")
BY_OPERATOR = Evidence("by operator")
EVALUATED = Evidence("evaluated")
