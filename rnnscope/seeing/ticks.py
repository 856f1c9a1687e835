"""Round numbers on an axis whose cells may be bins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.model.cell import Array


def round_sizes() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50 and so on."""
    unit = 1
    while True:
        yield from (unit, 2 * unit, 5 * unit)
        unit *= 10


def round_ticks(numbers: Array, edges: Array, every: int) -> list[tuple[int, int]]:
    """The cells that hold a multiple of `every`, and the first such number in each.

    Parameters
    ----------
    numbers : ndarray of int
        Rising.
    edges : ndarray of int
        Cell `k` holds ``numbers[edges[k]:edges[k + 1]]``.
    every : int
    """
    at = np.flatnonzero(numbers % every == 0)
    cells, first = np.unique(np.searchsorted(edges, at, side="right") - 1, return_index=True)
    return list(zip(cells.tolist(), numbers[at[first]].tolist(), strict=True))


def some_round_ticks(numbers: Array, edges: Array, most: int) -> list[tuple[int, int]]:
    """Ticks at the smallest round distance that makes at most so many; one at least."""
    for every in round_sizes():
        found = round_ticks(numbers, edges, every)
        if len(found) <= most:
            return found or [(0, int(numbers[0]))]
    raise AssertionError
