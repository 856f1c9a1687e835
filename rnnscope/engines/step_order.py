"""Which step each sequence takes when."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import RecurrentLayer


@dataclass(frozen=True)
class Order:
    """Which step each row takes when, in the order of processing.

    Attributes
    ----------
    rows : ndarray of int (row,)
        Sequences, longest first.
    lengths : ndarray of int (row,)
        In the order of `rows`: one past the last valid step.
    timesteps : int
    backward : bool
    within : bool
        A backward layer that turns each sequence within its length.
    holes : ndarray of bool (row, timestep) or None
        The valid steps, where they are more than lengths say.
    """

    rows: Array
    lengths: Array
    timesteps: int
    backward: bool
    within: bool
    holes: Array | None = None

    @cached_property
    def full(self) -> bool:
        """Whether every row is as long as there are timesteps."""
        return bool((self.lengths == self.timesteps).all())

    @property
    def late(self) -> bool:
        """Whether a layer reads the whole axis from its end, where it meets the padding first."""
        return self.backward and not self.within

    @cached_property
    def active(self) -> Array:
        """Rows still running at each processed step (timestep,): always the first ones."""
        steps = np.arange(self.timesteps)
        if self.late:
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

    def times_of(self, rows: Array, steps: Array) -> Array:
        """The timesteps of some rows at processed steps; what is past a length stays there."""
        if not self.backward:
            return steps
        if not self.within:
            return self.timesteps - 1 - steps
        lengths = self.lengths[rows]
        times: Array = np.where(steps < lengths, lengths - 1 - steps, steps)
        return times

    @cached_property
    def every_time(self) -> Array:
        """The timestep of every processed step, (row, processed step) or that for all rows."""
        return self.times_of(np.arange(len(self.rows))[:, None], np.arange(self.timesteps)[None])

    @cached_property
    def valid(self) -> Array:
        """Which processed steps of each row count, (row, processed step), where there are holes."""
        assert self.holes is not None
        times = np.broadcast_to(self.every_time, self.holes.shape)
        found: Array = np.take_along_axis(self.holes, times, axis=1)
        return found

    def part(self, number: int, parts: int) -> Order:
        """The rows of one of some threads."""
        if self.full:
            if parts == 1:
                return self
            size = len(self.rows)
            mine = slice(number * size // parts, (number + 1) * size // parts)
        else:
            mine = slice(number, None, parts)  # interleaved: each part gets long and short rows
        return Order(
            self.rows[mine], self.lengths[mine], self.timesteps, self.backward, self.within,
            None if self.holes is None else self.holes[mine],
        )  # fmt: skip


def order_of(
    layer: RecurrentLayer,
    lengths: Array | None,
    sequences: int,
    timesteps: int,
    holes: Array | None = None,
) -> Order:
    """The order in which a layer takes its sequences, all of them.

    Parameters
    ----------
    layer : RecurrentLayer
    lengths : ndarray of int (sequence,) or None
        None for sequences that are as long as there are timesteps.
    sequences, timesteps : int
    holes : ndarray of bool (sequence, timestep), optional
        The valid steps, in place of `lengths`.
    """
    backward = layer.backward.value
    within = backward and layer.reversal == "within length"
    if holes is not None:
        lengths = np.where(holes, np.arange(1, timesteps + 1), 0).max(axis=1, initial=0)
    if lengths is None:
        full = np.full(sequences, timesteps)
        return Order(np.arange(sequences), full, timesteps, backward, within=False)
    rows = np.argsort(-lengths, kind="stable")
    sorted_holes = None if holes is None else holes[rows]
    return Order(rows, lengths[rows].astype(np.int64), timesteps, backward, within, sorted_holes)
