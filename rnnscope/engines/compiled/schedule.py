"""Where rows are at some steps, as the machine code is told."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.step_order import Order
from rnnscope.model.cell import Array


@dataclass(frozen=True)
class Places:
    """Rows at some steps, step after step, as `KernelKind.table` describes them."""

    starts: Array
    places: Array
    rows: Array
    reads: Array
    writes: Array


class Schedule:
    """Where each row of an order reads and writes, and when.

    There are two arrays of m, (2, row): each step reads what the step before wrote in the other
    one. Which one is told by how often the row has run, since a mask may leave out any step. Rows
    of one array follow each other, so that those of a batch find room in the first cache.
    """

    def __init__(self, order: Order) -> None:
        self._order = order

    @cached_property
    def _valid(self) -> Array | None:
        """(row, processed step), where a mask has holes."""
        return self._order.valid if self._order.holes is not None else None

    @cached_property
    def _odd(self) -> Array:
        """(row, processed step) 1 where a row has run an odd number of times before, else 0."""
        assert self._valid is not None
        runs = np.logical_xor.accumulate(self._valid, axis=1) ^ self._valid
        return runs.astype(np.int64)

    @property
    def running(self) -> Array:
        """How many rows run at each processed step."""
        if self._valid is None:
            return self._order.active
        counts: Array = np.count_nonzero(self._valid, axis=0)
        return counts

    @cached_property
    def last(self) -> Array:
        """Where each row wrote its last m: (row,), as in `Places.reads`."""
        runs = self._order.lengths if self._valid is None else self._valid.sum(axis=1)
        found: Array = np.arange(len(runs)) + len(runs) * (runs % 2)
        return found

    def at(self, start: int, stop: int) -> Places:
        """The rows that run at some processed steps."""
        order = self._order
        if self._valid is None and bool((order.lengths == order.timesteps).all()):
            return self._all_at(start, stop)
        if self._valid is not None:
            steps, rows = np.nonzero(self._valid.T[start:stop])
            steps = steps + start
            odd = self._odd[rows, steps]
        else:
            counts = order.active[start:stop]
            grid = np.arange(int(counts.max(initial=0))) < counts[:, None]
            steps, rows = np.nonzero(grid)
            steps = steps + start
            # Rows that read the whole axis from its end begin late.
            begin = order.timesteps - order.lengths[rows] if order.late else 0
            odd = (steps - begin) % 2
        running = np.bincount(steps - start, minlength=stop - start)
        count = len(order.rows)
        return Places(
            starts=np.concatenate([[0], np.cumsum(running)]).astype(np.int64),
            places=order.rows[rows] * order.timesteps + order.times_of(rows, steps),
            rows=np.ascontiguousarray(rows, dtype=np.int64),
            reads=np.ascontiguousarray(rows + count * odd, dtype=np.int64),
            writes=np.ascontiguousarray(rows + count * (1 - odd), dtype=np.int64),
        )

    def _all_at(self, start: int, stop: int) -> Places:
        """The same where all rows run at all steps: told without looking for them."""
        order, count = self._order, len(self._order.rows)
        steps = np.arange(start, stop)
        rows = np.arange(count)
        times = order.timesteps - 1 - steps if order.backward else steps
        odd = (count * (steps % 2))[:, None]

        def flat(places: Array) -> Array:
            return np.ascontiguousarray(places, dtype=np.int64).ravel()

        return Places(
            starts=count * np.arange(len(steps) + 1, dtype=np.int64),
            places=flat(order.rows * order.timesteps + times[:, None]),
            rows=flat(np.broadcast_to(rows, (len(steps), count))),
            reads=flat(rows + odd),
            writes=flat(rows + (count - odd)),
        )
