"""What is kept of the differences of two arrays: sums, peaks, a histogram.

Nothing that is kept grows with the number of values, so that arrays of any size are measured in
slices.
"""

from __future__ import annotations

from math import floor, inf, log10, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.comparing.block_difference import BlockDifference, Measured, block_difference
from rnnscope.comparing.exact_sum import ExactSum
from rnnscope.comparing.histogram import Histogram
from rnnscope.comparing.spread import Spread
from rnnscope.comparing.tolerance import Tolerance
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

if TYPE_CHECKING:
    # llvmlite is loaded for large arrays alone.
    from rnnscope.comparing.compiled import CompiledPass

COMPILED_FROM = 2**19
"""Values from which on loading llvmlite is repaid."""


@dataclass
class LargestValue:
    """The largest value seen so far, and where; -1 before the first."""

    value: float = -1.0
    place: tuple[int, ...] = ()

    def see(self, value: float, place: tuple[int, ...] = ()) -> None:
        """Look at the largest of a block."""
        if value > self.value:
            self.value, self.place = value, place


class Measure:
    """Everything that is known of the differences of one pair of arrays.

    Parameters
    ----------
    how : Measured
    shape : tuple of int
        Of the whole arrays.
    dtypes : two dtypes
    """

    def __init__(
        self, how: Measured, shape: tuple[int, ...], dtypes: tuple[np.dtype[Any], np.dtype[Any]]
    ) -> None:
        self.how = how
        self.compared = self.exceed = self.nonfinite_a = self.nonfinite_b = 0
        self.finite = 0
        self._sum_abs = ExactSum()
        self.max_abs, self.max_rel, self.needed = LargestValue(), LargestValue(), LargestValue()
        self.worst_is_nonfinite = False
        self.ulp_max = 0
        self.histogram = Histogram()
        self.spread = Spread()
        self._compiled = _compiled_pass(how, prod(shape), dtypes)

    @property
    def tolerance(self) -> Tolerance:
        return self.how.tolerance

    def add(
        self, a: Array, b: Array, valid: Array | None, corner: tuple[int, ...]
    ) -> BlockDifference:
        """Measure two blocks.

        Parameters
        ----------
        a, b : ndarray
            Of one shape.
        valid : ndarray of bool or None
            Which rows count, of their shape without the last axis.
        corner : tuple of int
            Where the blocks begin in the whole arrays.

        Returns
        -------
        BlockDifference
            Without rows if all values that count are the same.
        """
        shape = a.shape
        if not shape:
            a, b = a.reshape(1), b.reshape(1)
        if self._compiled is None:
            found = block_difference(a, b, valid, self.how, self.histogram)
        else:
            found = self._compiled(a, b, valid, self.histogram)
        self.compared += found.compared
        self.finite += found.finite
        self.nonfinite_a += found.nonfinite_a
        self.nonfinite_b += found.nonfinite_b
        self.spread.add(a, b, valid, found)
        if found.row_peaks is None:
            return found
        self.exceed += found.exceed
        self._sum_abs.add(found.sum_abs)
        within = np.unravel_index(found.worst, shape)
        place = tuple(int(at) + start for at, start in zip(within, corner, strict=True))
        self.max_abs.see(found.max_abs, place)
        self.max_rel.see(found.max_rel)
        self.needed.see(found.needed)
        self.ulp_max = max(self.ulp_max, found.ulp_max)
        self.worst_is_nonfinite |= found.nonfinite_apart
        return found

    def merge(self, other: Measure) -> None:
        """Take in what was measured of later blocks of the same arrays."""
        for name in ("compared", "exceed", "nonfinite_a", "nonfinite_b", "finite"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self._sum_abs.merge(other._sum_abs)
        for name in ("max_abs", "max_rel", "needed"):
            largest = getattr(other, name)
            getattr(self, name).see(largest.value, largest.place)
        self.worst_is_nonfinite |= other.worst_is_nonfinite
        self.ulp_max = max(self.ulp_max, other.ulp_max)
        self.histogram.counts += other.histogram.counts
        self.spread.merge(other.spread)

    def __getstate__(self) -> dict[str, Any]:
        # Machine code stays in the process that made it.
        return {**self.__dict__, "_compiled": None}

    def mean_abs(self) -> float:
        return self._sum_abs.value / self.finite if self.finite else 0.0

    def passes_at(self) -> str:
        """The smallest tolerance at which it would pass; empty where none would."""
        if self.worst_is_nonfinite:
            return ""
        if self.tolerance.ulp is not None:
            return f"{self.ulp_max} ulp"
        needed = round_up(max(self.needed.value, 0.0))
        rtol = f", rtol {self.tolerance.rtol:g}" if self.tolerance.rtol else ""
        return f"atol {needed:g}{rtol}"


def _compiled_pass(
    how: Measured, size: int, dtypes: tuple[np.dtype[Any], np.dtype[Any]]
) -> CompiledPass | None:
    """The same as machine code, for arrays that repay it."""
    if size < COMPILED_FROM or any(dtype.name not in ("float32", "float64") for dtype in dtypes):
        return None
    from rnnscope.comparing.compiled import CompiledPass

    return CompiledPass(how, dtypes)


def round_up(value: float, digits: int = 3) -> float:
    """The next number of so few digits that is not smaller."""
    if not 0 < value < inf:
        return value
    step = 10.0 ** (floor(log10(value)) - digits + 1)
    rounded = float(f"{value:.{digits - 1}e}")
    return rounded if rounded >= value else float(f"{rounded + step:.{digits - 1}e}")
