"""What the comparison of a layer with its graph says."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.evidence import Evidence
from rnnscope.model.recurrent_layer import RecurrentLayer

FaultKind = Literal["cell", "state", "lengths", "turn", "start", "input",
                    "outputs"]  # fmt: skip

LIMITS = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-11}
"""By dtype: how far rounding alone takes two ways of computing a step apart, relative to the
largest value (at least 1)."""


@dataclass(frozen=True)
class Fault:
    """Where a layer is not what was read.

    Attributes
    ----------
    kind : FaultKind
    words : str
        The end of a sentence that begins with the layer's name.
    """

    kind: FaultKind
    words: str


@dataclass
class Verdict:
    """What the comparison says of a layer.

    Attributes
    ----------
    steps : int
    difference : float
        The largest of all that agree.
    faults : list of Fault
    turned : RecurrentLayer or None
        The layer in the direction in which it agrees, where it was read in another.
    unchecked : list of str
        What of it could not be compared.
    """

    steps: int
    difference: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    turned: RecurrentLayer | None = None
    unchecked: list[str] = field(default_factory=list)

    def kinds(self) -> frozenset[FaultKind]:
        return frozenset(fault.kind for fault in self.faults)

    @property
    def evidence(self) -> Evidence:
        apart = f"but for {' and '.join(dict.fromkeys(self.unchecked))}" if self.unchecked else ""
        return Evidence("proved", self.steps, self.difference, apart)
