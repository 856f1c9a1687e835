"""Which step each sequence takes when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.network import RecurrentLayer


@dataclass(frozen=True)
class Order:
    """Which step each row takes when, in the order of processing.

    Attributes
    ----------
    rows : ndarray of int (row,)
        Sequences, longest first.
    lengths : ndarray of int (row,)
        In the order of `rows`.
    timesteps : int
    backward : bool
    within : bool
        A backward layer that turns each sequence within its length.
    """

    rows: Array
    lengths: Array
    timesteps: int
    backward: bool
    within: bool

    @cached_property
    def active(self) -> Array:
        """Rows still running at each processed step (timestep,): always the first ones."""
        steps = np.arange(self.timesteps)
        if self.backward and not self.within:
            steps = steps[::-1]
        # lengths fall along rows: count those longer than each step
        counts: Array = np.searchsorted(-self.lengths, -steps, side="left")
        return counts

    def times(self, step: int, count: int) -> Array | int:
        """The timestep of each of the first `count` rows at a processed step."""
        if not self.backward:
            return step
        if not self.within:
            return self.timesteps - 1 - step
        times: Array = self.lengths[:count] - 1 - step
        return times

    def places(self, start: int, stop: int) -> tuple[Array, Array]:
        """Where the rows that run are at some processed steps, step after step.

        Returns
        -------
        places : ndarray of int64 (place,)
            As sequence x timesteps + timestep.
        starts : ndarray of int64 (step + 1,)
            The first place of each step, and the end.
        """
        counts = self.active[start:stop]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        most = int(counts.max(initial=0))
        steps = np.arange(start, stop, dtype=np.int64)[:, None]
        if not self.backward:
            times = steps
        elif not self.within:
            times = self.timesteps - 1 - steps
        else:
            times = self.lengths[:most] - 1 - steps
        grid = (self.rows[:most] * self.timesteps + times).astype(np.int64, copy=False)
        if starts[-1] == grid.size:
            return grid.ravel(), starts
        return grid[np.arange(most) < counts[:, None]], starts

    def part(self, number: int, parts: int) -> Order:
        """The rows of one of some threads."""
        if bool((self.lengths == self.timesteps).all()):
            size = len(self.rows)
            mine = slice(number * size // parts, (number + 1) * size // parts)
        else:
            mine = slice(number, None, parts)  # interleaved: each part gets long and short rows
        return Order(
            self.rows[mine], self.lengths[mine], self.timesteps, self.backward, self.within
        )


def order_of(layer: RecurrentLayer, lengths: Array | None, sequences: int, timesteps: int) -> Order:
    """The order in which a layer takes its sequences, all of them."""
    backward = layer.backward.value
    if lengths is None:
        full = np.full(sequences, timesteps)
        return Order(np.arange(sequences), full, timesteps, backward, within=False)
    rows = np.argsort(-lengths, kind="stable")
    within = backward and layer.reversal == "within length"
    return Order(rows, lengths[rows].astype(np.int64), timesteps, backward, within)
