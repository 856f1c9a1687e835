"""How differences are spread: quantiles of |a - b|, the ratio of signal to noise, signs."""

from __future__ import annotations

import sys
from math import inf, log10

import numpy as np

from rnnscope.comparing.block_difference import BlockDifference
from rnnscope.comparing.exact_sum import ExactSum
from rnnscope.model.cell import Array

TINY = 1e-30
"""A sum of squares of float32 below which some of them may have become zero."""

SHIFT = 48
"""Bits of a float64 that a bin leaves out: sixteen bins an octave, so within 7 %."""


class Spread:
    """What is kept of the differences of one pair of arrays; it does not grow with them.

    A positive float64 is ordered as its bits are, so that the upper bits say the bin.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2 ** (63 - SHIFT), np.int64)
        self._signal, self._noise = ExactSum(), ExactSum()
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
        self._signal.add(_energy(a))
        differences = found.absolute
        if differences is None:
            self._counts[0] += found.finite
            return
        bins = np.bincount(_upper_bits(differences))
        self._counts[: len(bins)] += bins
        self._counts[0] -= differences.size - found.finite
        self._noise.add(_energy(differences))
        self.signs_differ += _signs_apart(a, b)

    def merge(self, other: Spread) -> None:
        """Take in what another has taken in."""
        self._counts += other._counts
        self._signal.merge(other._signal)
        self._noise.merge(other._noise)
        self.signs_differ += other.signs_differ

    def quantile(self, share: float) -> float:
        """What this share of the differences does not exceed: the upper end of its bin."""
        total = int(self._counts.sum())
        at = int(np.searchsorted(np.cumsum(self._counts), share * total)) if total else 0
        if not at:
            return 0.0
        return float(np.array([(at + 1) << SHIFT], np.int64).view(np.float64)[0])

    def snr_db(self) -> float:
        """10 log10 of the energy of A over that of the differences; infinite without any."""
        signal, noise = self._signal.value, self._noise.value
        if not noise:
            return inf
        return 10 * log10(signal / noise) if signal else -inf


def _upper_bits(differences: Array) -> Array:
    """The sixteen upper bits of each float64, which say its bin."""
    words = np.ascontiguousarray(differences).reshape(-1).view(np.uint16)
    return words[3 if sys.byteorder == "little" else 0 :: 4]


def _signs_apart(a: Array, b: Array) -> int:
    """How many values that are not zero have another sign in `b`."""
    if a.dtype == b.dtype and a.dtype.name in ("float32", "float64"):
        whole = f"i{a.dtype.itemsize}"
        apart = (np.ascontiguousarray(a).view(whole) ^ np.ascontiguousarray(b).view(whole)) < 0
    else:
        apart = np.signbit(a) != np.signbit(b)
    return int(np.count_nonzero(apart & (a != 0) & (b != 0))) if apart.any() else 0


def _energy(values: Array) -> float:
    """The sum of squares; those of float32 in its own digits, which is more than decibels show.

    Without BLAS, whose threads would wait for each other beside the one that reads.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        found = float(np.square(values).sum(dtype=np.float64))
        if values.dtype == np.float32 and not TINY < found < np.inf:
            found = float(np.square(values, dtype=np.float64).sum())
    return found
