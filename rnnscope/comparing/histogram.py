"""How many representable numbers lie between two values, and how often which distance occurs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from rnnscope.model.cell import Array

EXACT_ULPS = 1024
"""Distances up to this have a bin each; above, sixteen bins an octave, so within 5 %."""

BINS_PER_OCTAVE = 16
OCTAVES = 54
BINS = EXACT_ULPS + BINS_PER_OCTAVE * OCTAVES + 1


class Histogram:
    """How many distances lie in each bin."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)

    def add(self, distances: Array) -> None:
        """Count distances, uint64."""
        if int(distances.max(initial=0)) < EXACT_ULPS:
            self.counts += np.bincount(distances.view(np.int64), minlength=BINS)
            return
        small = distances < EXACT_ULPS
        self.counts += np.bincount(distances[small].view(np.int64), minlength=BINS)
        if not small.all():
            bins = _bins_above(distances[~small].astype(np.float64))
            self.counts += np.bincount(bins, minlength=BINS)

    def quantile(self, share: float) -> int:
        """The distance that this share of the values does not exceed; bins count as their start."""
        total = int(self.counts.sum())
        if not total:
            return 0
        at = int(np.searchsorted(np.cumsum(self.counts), share * total))
        if at < EXACT_ULPS:
            return at
        return int(EXACT_ULPS * 2 ** ((at - EXACT_ULPS) / BINS_PER_OCTAVE))


def _bins_above(distances: Array) -> Array:
    """The bins of distances, float64, of `EXACT_ULPS` and more."""
    logs = np.log2(distances) - np.log2(EXACT_ULPS)
    bins = EXACT_ULPS + np.floor(logs * BINS_PER_OCTAVE).astype(np.int64)
    least: Array = np.minimum(bins, BINS - 1)
    return least


MANTISSA_BITS = 8
"""Leading bits of a mantissa that tell where it is among the bins of its octave: no two bins begin
between two neighbours of so few bits."""


@cache
def bins_by_leading_bits() -> Array:
    """The same bins without logarithms: int64 (exponent and `MANTISSA_BITS` of mantissa, 2).

    For distances from 2**0 up to 2**64, by the leading bits of their float64: the bin of the least
    that begins so, and the bits of the least float64 of the next bin.
    """
    shift = 52 - MANTISSA_BITS
    heads = np.arange(1023 << MANTISSA_BITS, (1023 + 65) << MANTISSA_BITS, dtype=np.int64)
    least, most = heads << shift, ((heads + 1) << shift) - 1
    table = np.zeros((len(heads), 2), np.int64)
    table[:, 1] = np.iinfo(np.int64).max
    above = least.view(np.float64) >= EXACT_ULPS
    first, last = (_bins_above(bits[above].view(np.float64)) for bits in (least, most))
    table[above, 0] = first
    begins = np.flatnonzero(above)[last > first]
    low, high = least[begins].copy(), most[begins].copy()  # the next bin begins above low
    wanted = last[last > first]
    while (high - low > 1).any():
        middle = low + (high - low) // 2
        reached = _bins_above(middle.view(np.float64)) >= wanted
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    table[begins, 1] = high
    table.flags.writeable = False
    return table


def ulp_distances(a: Array, b: Array, dtype: np.dtype[Any]) -> Array:
    """Representable numbers of `dtype` between finite values: uint64.

    References
    ----------
    Floats of one sign are ordered as their bits are, read as integers.
    """
    whole = {2: np.int16, 4: np.int32, 8: np.int64}[dtype.itemsize]
    lowest = np.int64(-(2 ** (8 * dtype.itemsize - 1)))
    keys = []
    for values in (a, b):
        bits = np.ascontiguousarray(values, dtype).view(whole).astype(np.int64)
        # Negative floats count down from -0, which is the same number as 0.
        np.subtract(lowest, bits, out=bits, where=bits < 0)
        keys.append(bits)
    if dtype.itemsize < 8:
        apart = np.subtract(keys[0], keys[1], out=keys[0])
        return np.abs(apart, out=apart).view(np.uint64)
    # The true distance fits uint64 even where the difference of int64 would not.
    high, low = np.maximum(*keys), np.minimum(*keys)
    distance: Array = high.view(np.uint64) - low.view(np.uint64)
    return distance
