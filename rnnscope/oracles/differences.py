"""How far the states of one engine are from those of another, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.verification import KernelDifference

LIMIT_EPS = 256
"""The limit in units of the dtype's rounding error, relative to the largest state.

Two right computations differ because matrix products sum in another order, and because tanh and
sigmoid are approximated differently. In a cell that forgets, these errors fade: random cells of 4
to 1024 units with weights as initialised stay below 10 eps over 200 steps, with weights four
times as large at 64 units below 30. 256 eps is 3.1e-5 in float32 and 5.7e-14 in float64; a gate
in the wrong place is off by a thousand times that. Cells of hundreds of units with large weights
are chaotic: there any two engines end up as far apart as two random states, see
`rnnscope.oracles.tensorflow_verifier.SINGLE`.
"""

SMALLEST_SCALE = 1e-2
"""States smaller than this are sums of larger terms that cancel; their errors do not shrink."""


@dataclass
class Largest:
    """The largest difference of one state so far, and the largest state it is measured by."""

    kernel: str
    eps: float
    difference: float = 0.0
    scale: float = SMALLEST_SCALE

    @classmethod
    def of(cls, kernel: str, ours: Array, theirs: Array) -> Largest:
        eps = float(np.finfo(theirs.dtype).eps)
        if not theirs.size:
            return cls(kernel, eps)
        with np.errstate(invalid="ignore"):  # inf - inf is NaN, and NaN is no match
            difference = float(np.abs(ours - theirs).max())
        return cls(kernel, eps, difference, max(SMALLEST_SCALE, float(np.abs(theirs).max())))

    def join(self, other: Largest) -> None:
        """Take in another slice of the same layer."""
        # Not max(), which keeps or drops a NaN by the order of its arguments.
        if not (np.isnan(self.difference) or other.difference <= self.difference):
            self.difference, self.kernel = other.difference, other.kernel
        self.scale = max(self.scale, other.scale)

    @property
    def limit(self) -> float:
        return LIMIT_EPS * self.eps * self.scale

    @property
    def ok(self) -> bool:
        """Whether the difference is within the limit; NaN is within none."""
        return self.difference <= self.limit


class Differences:
    """The largest difference of every layer and state, gathered slice by slice."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Largest] = {}

    def add(self, layer: str, found: Mapping[str, Largest]) -> None:
        """Take in a slice of a layer, by state."""
        for state, entry in found.items():
            self._found.setdefault((layer, state), entry).join(entry)

    def rows(self) -> tuple[KernelDifference, ...]:
        """One row a layer and state, in the order in which they were computed."""
        return tuple(
            KernelDifference(layer, state, one.difference, one.limit, one.ok, one.kernel)
            for (layer, state), one in self._found.items()
        )
