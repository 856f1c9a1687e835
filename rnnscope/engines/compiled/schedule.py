"""Where rows are at some steps, as the machine code is told."""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.step_order import Order
from rnnscope.model.cell import Array

KEPT_PLACES = 2**12
"""The places of a call of so many are kept for the next of the same size: to find them takes as
long as some ten steps of a small cell."""


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

    @property
    def all_run(self) -> bool:
        """Whether all rows run at all steps."""
        return self._valid is None and self._order.full

    def span(self) -> tuple[int, int, int]:
        """The first step at which a row runs, one past the last, and the most rows of a step."""
        if self.all_run:
            rows = len(self._order.rows)
            return 0, self._order.timesteps if rows else 0, rows
        running = self.running
        busy = np.flatnonzero(running)
        return (int(busy[0]), int(busy[-1]) + 1, int(running.max())) if busy.size else (0, 0, 0)

    @cached_property
    def last(self) -> Array:
        """Where each row wrote its last m: (row,), as in `Places.reads`."""
        runs = self._order.lengths if self._valid is None else self._valid.sum(axis=1)
        found: Array = np.arange(len(runs)) + len(runs) * (runs % 2)
        return found

    def at(self, start: int, stop: int) -> Places:
        """The rows that run at some processed steps."""
        order = self._order
        if self.all_run:
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
        """The same where all rows run at all steps, one sequence behind the other."""
        order = self._order
        first, count = int(order.rows[0]), len(order.rows)
        find = _all_rows if (stop - start) * count <= KEPT_PLACES else _all_rows.__wrapped__
        return find(first, count, order.timesteps, order.backward, start, stop)


@lru_cache(maxsize=8)
def _all_rows(
    first: int, count: int, timesteps: int, backward: bool, start: int, stop: int
) -> Places:
    """Where `count` sequences from `first` on are, at steps `start` to `stop`."""
    steps = np.arange(start, stop)
    rows = np.arange(count)
    times = timesteps - 1 - steps if backward else steps
    odd = (count * (steps % 2))[:, None]

    def flat(places: Array) -> Array:
        return np.ascontiguousarray(places, dtype=np.int64).ravel()

    return Places(
        starts=count * np.arange(len(steps) + 1, dtype=np.int64),
        places=flat((first + rows) * timesteps + times[:, None]),
        rows=flat(np.broadcast_to(rows, (len(steps), count))),
        reads=flat(rows + odd),
        writes=flat(rows + (count - odd)),
    )
