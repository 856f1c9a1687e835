"""Both sides' arrays of one layer, as they were compared: values by sequence, step and unit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from rnnscope.comparing.align import LayerOfSet, align
from rnnscope.comparing.array_measure import AlignedArrays
from rnnscope.comparing.block_difference import Measured, block_difference
from rnnscope.comparing.compare import shared_keys
from rnnscope.comparing.histogram import Histogram
from rnnscope.comparing.result import SideName
from rnnscope.comparing.tolerance import DiffSettings, narrower
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.states.state_set import FINAL, INITIAL

CHUNK = 4096
"""Sequences whose final states are compared at once."""


@dataclass(frozen=True, eq=False)
class LayerPair:
    """A layer of A and its partner in B.

    Attributes
    ----------
    a, b : LayerOfSet
    settings : DiffSettings
    """

    a: LayerOfSet
    b: LayerOfSet
    settings: DiffSettings

    @cached_property
    def arrays(self) -> dict[str, AlignedArrays]:
        """Those that both have and that can be compared place by place, by name."""
        found = {}
        for key in shared_keys(self.a.layer, self.b.layer):
            pair, _ = align(self.a, self.b, key, padding=self.settings.padding)
            if pair is not None:
                found[key] = pair
        return found

    def of(self, side: SideName) -> LayerOfSet:
        return self.a if side == "A" else self.b

    def step(
        self, side: SideName, key: str, sequence: int, timesteps: Sequence[int]
    ) -> Array | None:
        """One side's values (timestep, unit) of steps; None if it lacks one of them."""
        pair = self.arrays.get(key)
        if pair is None or len(pair.a.shape) != 3:
            return None
        row, columns = _at(pair.coordinates[0], [sequence]), _at(pair.coordinates[1], timesteps)
        if row is None or columns is None or not len(columns):
            return None
        first, last = int(columns.min()), int(columns.max()) + 1
        array = pair.a if side == "A" else pair.b
        key_ = (slice(int(row[0]), int(row[0]) + 1), slice(first, last), slice(0, array.shape[2]))
        values: Array = np.asarray(array.read(key_))[0][columns - first]
        return values

    def state(self, side: SideName, key: str, sequence: int) -> Array | None:
        """One side's final or initial state (unit,)."""
        pair = self.arrays.get(key)
        if pair is None or len(pair.a.shape) != 2:
            return None
        row = _at(pair.coordinates[0], [sequence])
        if row is None:
            return None
        array = pair.a if side == "A" else pair.b
        at = int(row[0])
        values: Array = np.asarray(array.read((slice(at, at + 1), slice(0, array.shape[1]))))[0]
        return values

    def unit_names(self, key: str) -> Array:
        """What the units of an array are called."""
        return self.arrays[key].coordinates[-1]

    def beyond(self, key: str, a: Array, b: Array) -> Array:
        """Where values of an array differ by more than its tolerance; of their shape."""
        first, second = self.arrays[key].a, self.arrays[key].b
        tolerances = self.settings.tolerances
        tolerance = tolerances.of(self.a.layer.name, key, (first.dtype, second.dtype))
        how = Measured(tolerance, narrower(first.dtype, second.dtype), tolerances.equal_nan)
        found = block_difference(a.reshape(-1, 1), b.reshape(-1, 1), None, how, Histogram())
        if found.row_firsts is None:
            return np.zeros(a.shape, bool)
        beyond: Array = (found.row_firsts >= 0).reshape(a.shape)
        return beyond

    def final_rows(self, key: str) -> list[int]:
        """The sequences, by name, whose final states of one kind differ."""
        pair = self.arrays[key]
        found: list[int] = []
        for first in range(0, pair.a.shape[0], CHUNK):
            rows = slice(first, min(first + CHUNK, pair.a.shape[0]))
            part = (rows, slice(0, pair.a.shape[1]))
            apart = self.beyond(key, pair.a.read(part), pair.b.read(part)).any(axis=1)
            found += [int(name) for name in pair.coordinates[0][rows][apart]]
        return found


def is_state(key: str) -> bool:
    """Whether an array is one of final or initial states."""
    return key.startswith((FINAL, INITIAL))


def _at(names: Array, wanted: Sequence[int]) -> Array | None:
    """Where values of a coordinate are; None if one is not there."""
    places = {int(name): at for at, name in enumerate(names)}
    if not all(int(one) in places for one in wanted):
        return None
    return np.array([places[int(one)] for one in wanted], np.int64)
