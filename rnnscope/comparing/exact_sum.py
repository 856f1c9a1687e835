"""A sum of floats that does not depend on their order, so that it may be taken in pieces."""

from __future__ import annotations

from math import fsum, isfinite


class ExactSum:
    """Adds float64 without rounding, and rounds once.

    References
    ----------
    J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
    Predicates, Discrete & Computational Geometry 18 (1997): partial sums that do not overlap.
    """

    def __init__(self) -> None:
        self._partials: list[float] = []
        self._special = 0.0
        """The sum of what is infinite or NaN; 0 while nothing is."""

    def add(self, value: float) -> None:
        """Add a number."""
        if not isfinite(value):
            self._special += value
            return
        kept = []
        for part in self._partials:
            large, small = (value, part) if abs(value) >= abs(part) else (part, value)
            total = large + small
            if not isfinite(total):
                self._special += total
                self._partials = []
                return
            if rest := small - (total - large):
                kept.append(rest)
            value = total
        self._partials = [*kept, value]

    def merge(self, other: ExactSum) -> None:
        """Add all that another has added."""
        for part in other._partials:
            self.add(part)
        self._special += other._special

    @property
    def value(self) -> float:
        """The sum, rounded once."""
        return self._special or fsum(self._partials)
