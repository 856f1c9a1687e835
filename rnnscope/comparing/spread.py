"""How differences are spread: quantiles of |a - b|, the ratio of signal to noise, signs."""

from __future__ import annotations

from math import inf, log10

import numpy as np

from rnnscope.comparing.block_difference import BlockDifference
from rnnscope.model.cell import Array

SHIFT = 48
"""Bits of a float64 that a bin leaves out: sixteen bins an octave, so within 7 %."""


class Spread:
    """What is kept of the differences of one pair of arrays; it does not grow with them.

    A positive float64 is ordered as its bits are, so that the upper bits say the bin.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2 ** (63 - SHIFT), np.int64)
        self._signal = self._noise = 0.0
        self.signs_differ = 0

    def add(self, a: Array, b: Array, valid: Array | None, found: BlockDifference) -> None:
        """Take in a block.

        Parameters
        ----------
        a, b : ndarray
            Of one shape.
        valid : ndarray of bool or None
            Which rows count, of their shape without the last axis.
        found : BlockDifference
            What was measured of it.
        """
        if found.finite < a.size:  # some do not count, or are NaN or infinite
            counted = np.isfinite(a) & np.isfinite(b)
            if valid is not None:
                counted &= valid[..., None]
            a, b = np.where(counted, a, 0), np.where(counted, b, 0)
        self._signal += _energy(a)
        differences = found.absolute
        if differences is None:
            self._counts[0] += found.finite
            return
        bins = np.bincount(differences.reshape(-1).view(np.int64) >> SHIFT)
        self._counts[: len(bins)] += bins
        self._counts[0] -= differences.size - found.finite
        self._noise += _energy(differences)
        opposite = np.signbit(a) != np.signbit(b)
        self.signs_differ += int(np.count_nonzero(opposite & (a != 0) & (b != 0)))

    def quantile(self, share: float) -> float:
        """What this share of the differences does not exceed: the upper end of its bin."""
        total = int(self._counts.sum())
        at = int(np.searchsorted(np.cumsum(self._counts), share * total)) if total else 0
        if not at:
            return 0.0
        return float(np.array([(at + 1) << SHIFT], np.int64).view(np.float64)[0])

    def snr_db(self) -> float:
        """10 log10 of the energy of A over that of the differences; infinite without any."""
        if not self._noise:
            return inf
        return 10 * log10(self._signal / self._noise) if self._signal else -inf


def _energy(values: Array) -> float:
    wide = values.astype(np.float64, copy=False).reshape(-1)
    with np.errstate(over="ignore"):
        return float(np.dot(wide, wide))
