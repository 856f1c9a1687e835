"""What is measured of two arrays, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from rnnscope.comparing.block_difference import BlockDifference, Measured
from rnnscope.comparing.measure import Measure
from rnnscope.comparing.tolerance import Tolerance, narrower
from rnnscope.files.arrays.array_views import blocks
from rnnscope.files.arrays.stored_array import Key, StoredArray
from rnnscope.model.cell import Array
from rnnscope.running.background import prefetch

BLOCK_BYTES = 2**20
"""Of one operand at a time: some copies of it in float64 are alive at once, and fit a cache."""

AHEAD_FROM_BYTES = 4 * BLOCK_BYTES
"""Arrays from this size on are read by a thread of its own."""

GROWTH_COLUMNS = 60


class AlignedArrays(NamedTuple):
    """Two arrays with the same places on every axis.

    Attributes
    ----------
    a, b : StoredArray
    valid : ndarray of bool (sequence, timestep) or None
        Which steps count; None: all.
    coordinates : tuple of ndarray
        What the places of each axis are called.
    backward : bool
        Time is processed from its end.
    """

    a: StoredArray
    b: StoredArray
    valid: Array | None
    coordinates: tuple[Array, ...]
    backward: bool = False


class FirstDivergence:
    """The earliest place beyond the tolerance, in the order in which time is processed.

    Blocks come in C order, so that of places at one timestep the first that is seen stays.
    """

    def __init__(self, *, backward: bool) -> None:
        self._backward = backward
        self._step: int | None = None
        self.place: tuple[int, ...] = ()
        self.values = (0.0, 0.0)

    def see(self, found: BlockDifference, a: Array, b: Array, corner: tuple[int, ...]) -> None:
        """Look at a block that begins at `corner`."""
        if found.row_firsts is None:
            return
        if a.ndim != 3:
            rows = np.flatnonzero(found.row_firsts >= 0)
            if not self.place and rows.size:
                row = np.unravel_index(int(rows[0]), a.shape[:-1]) if a.ndim else ()
                self._take((*row, *found.row_firsts[rows[:1]][: a.ndim]), a, b, corner)
            return
        firsts = found.row_firsts.reshape(a.shape[:2])
        steps = np.flatnonzero((firsts >= 0).any(axis=0))
        if not len(steps):
            return
        at = int(steps[-1] if self._backward else steps[0])
        step = corner[1] + at
        if self._step is not None and (
            step <= self._step if self._backward else step >= self._step
        ):
            return
        self._step = step
        sequence = int(np.argmax(firsts[:, at] >= 0))
        self._take((sequence, at, firsts[sequence, at]), a, b, corner)

    def merge(self, other: FirstDivergence) -> None:
        """Take in what another saw of later blocks."""
        if not other.place:
            return
        earlier = not self.place
        if self._step is not None and other._step is not None:
            earlier = other._step > self._step if self._backward else other._step < self._step
        if earlier:
            self._step, self.place, self.values = other._step, other.place, other.values

    def _take(self, here: Any, a: Array, b: Array, corner: tuple[int, ...]) -> None:
        within = tuple(int(index) for index in here)
        self.place = tuple(index + start for index, start in zip(within, corner, strict=True))
        self.values = (float(a[within]), float(b[within]))


class GrowthOverTime:
    """The largest difference of each timestep."""

    def __init__(self, timesteps: int) -> None:
        self.peaks = np.zeros(timesteps)

    def see(self, found: BlockDifference, shape: tuple[int, ...], first_step: int) -> None:
        """Look at a block of some shape that begins at a timestep."""
        if found.row_peaks is None:
            return
        largest = found.row_peaks.reshape(shape[:2]).max(axis=0, initial=0)
        steps = slice(first_step, first_step + shape[1])
        self.peaks[steps] = np.maximum(self.peaks[steps], largest)

    def merge(self, other: GrowthOverTime) -> None:
        """Take in what another saw."""
        self.peaks = np.maximum(self.peaks, other.peaks)

    def columns(self) -> tuple[float, ...]:
        """At most `GROWTH_COLUMNS` numbers: the largest of runs of timesteps."""
        if not self.peaks.any():
            return ()
        runs = np.array_split(self.peaks, min(len(self.peaks), GROWTH_COLUMNS))
        return tuple(float(run.max()) for run in runs)


class ArrayMeasure:
    """All that is measured of two arrays, or of some of their sequences.

    Parameters
    ----------
    pair : AlignedArrays
    tolerance : Tolerance
    equal_nan : bool
    """

    def __init__(
        self, pair: AlignedArrays, tolerance: Tolerance, *, equal_nan: bool = False
    ) -> None:
        shape = pair.a.shape
        how = Measured(tolerance, narrower(pair.a.dtype, pair.b.dtype), equal_nan)
        self.measure = Measure(how, shape, (pair.a.dtype, pair.b.dtype))
        self.first = FirstDivergence(backward=pair.backward)
        self.growth = GrowthOverTime(shape[1] if len(shape) == 3 else 0)
        self.complete = True

    def see(
        self, pair: AlignedArrays, *, fail_fast: bool = False, rows: slice | None = None
    ) -> ArrayMeasure:
        """Look at every block of two arrays; with `rows`, at those that begin in them."""
        for key, (a, b) in _read_blocks(pair, rows):
            corner = tuple(part.start for part in key)
            found = self.measure.add(a, b, _valid(pair.valid, key), corner)
            if len(pair.a.shape) == 3:
                self.growth.see(found, a.shape, corner[1])
            if found.exceed:
                self.first.see(found, a, b, corner)
            if fail_fast and self.measure.exceed:
                self.complete = False
                break
        return self

    def merge(self, other: ArrayMeasure) -> None:
        """Take in what was measured of later sequences."""
        self.measure.merge(other.measure)
        self.first.merge(other.first)
        self.growth.merge(other.growth)
        self.complete = self.complete and other.complete


def _read_blocks(
    pair: AlignedArrays, rows: slice | None = None
) -> Iterator[tuple[Key, tuple[Array, Array]]]:
    """Every block of which something counts; large arrays are read ahead."""
    shape, size = pair.a.shape, pair.a.dtype.itemsize
    keys = (
        key for key in _blocks(shape, size) if _begins_in(key, rows) and _counts(pair.valid, key)
    )

    def read(key: Key) -> tuple[Array, Array]:
        return pair.a.read(key), pair.b.read(key)

    if prod(shape) * size > AHEAD_FROM_BYTES:
        return prefetch(keys, read)
    return ((key, read(key)) for key in keys)


def _begins_in(key: Key, rows: slice | None) -> bool:
    if rows is None:
        return True
    start = key[0].start if key else 0
    return bool(rows.start <= start < rows.stop)


def _blocks(shape: tuple[int, ...], itemsize: int) -> Iterator[Key]:
    """Keys with a slice for every axis; units stay together."""
    if not shape:
        yield ()
        return
    if len(shape) == 1:
        yield from blocks(shape, itemsize, BLOCK_BYTES)
        return
    for key in blocks(shape[:-1], itemsize * shape[-1], BLOCK_BYTES):
        rest = tuple(slice(0, size) for size in shape[len(key) :])
        yield (*key, *rest)


def _valid(valid: Array | None, key: Key) -> Array | None:
    return None if valid is None else valid[key[0], key[1]]


def _counts(valid: Array | None, key: Key) -> bool:
    """Whether any of a block counts; if not, it need not be read."""
    return valid is None or bool(valid[key[0], key[1]].any())
