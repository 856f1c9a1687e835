"""How much of large arrays goes into a page, so that it stays within a budget.

What is given up comes in one order, the least missed first: digits, sequences, single timesteps,
and whole arrays last. Whatever is given up is said on the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from rnnscope.deferred_dataclass import dataclass

Held = Literal["stored", "float32", "int16"]

DEFAULT_BYTES = 2 * 10**6
"""Of embedded text: with everything else, a page is well below 3 MB."""

BASE64 = 4 / 3
"""Characters a byte takes."""

FEW_SEQUENCES = 8
FEW_BINS = 128
BINS = (2048, 1536, 1024, 768, 512, 384, 256, 192, FEW_BINS)
FEWEST_BINS = 16


class ArraySize(NamedTuple):
    """The size of an array over time, and the bytes of one of its values."""

    sequences: int
    timesteps: int
    units: int
    itemsize: int


@dataclass(frozen=True)
class Plan:
    """How arrays are embedded.

    Attributes
    ----------
    arrays : int
        How many of them, from the first.
    sequences : int
        How many of each.
    bins : int or None
        The most bins of timesteps; None: every timestep.
    held : "stored", "float32" or "int16"
        As stored; or rounded to float32, or to whole numbers of a step.
    """

    arrays: int
    sequences: int
    bins: int | None = None
    held: Held = "stored"

    def size(self, arrays: Sequence[ArraySize]) -> float:
        """Bytes of text that the arrays take so."""
        return BASE64 * sum(self._size(array) for array in arrays[: self.arrays])

    def _size(self, array: ArraySize) -> int:
        steps = array.timesteps
        if self.bins is not None and steps > self.bins:
            steps = 2 * self.bins  # the least and the greatest of each
        item = {"stored": array.itemsize, "float32": min(4, array.itemsize), "int16": 2}[self.held]
        return min(self.sequences, array.sequences) * steps * array.units * item


def plan_arrays(
    arrays: Sequence[ArraySize],
    budget: float,
    *,
    sequences: int | None = None,
    rounded: bool = True,
) -> Plan:
    """The first plan that stays within a budget.

    Parameters
    ----------
    arrays : sequence of ArraySize
        The most important first.
    budget : float
        Bytes of text.
    sequences : int, optional
        Keep so many, whatever happens; else as many as there is room for.
    rounded : bool
        Values may be rounded to whole numbers of a step. Differences may not: small ones beside
        large ones would be lost.

    Returns
    -------
    Plan
        One array of `FEWEST_BINS` bins of one sequence if nothing is small enough.
    """
    plans = (
        plan
        for number in range(len(arrays), 0, -1)
        for plan in _plans(arrays[:number], sequences, rounded=rounded)
    )
    last = Plan(min(1, len(arrays)), sequences or 1, FEWEST_BINS, "int16" if rounded else "float32")
    return next((plan for plan in plans if plan.size(arrays) <= budget), last)


def _plans(arrays: Sequence[ArraySize], sequences: int | None, *, rounded: bool) -> Iterator[Plan]:
    every = sequences or max(array.sequences for array in arrays)
    least: Held = "int16" if rounded else "float32"
    number = len(arrays)
    for held in ("stored", "float32", "int16") if rounded else ("stored", "float32"):
        yield Plan(number, every, None, held)
    few = every if sequences else min(every, FEW_SEQUENCES)
    count = every * 3 // 4
    while count > few:
        yield Plan(number, count, None, least)
        count = count * 3 // 4
    yield Plan(number, few, None, least)
    for bins in BINS:
        yield Plan(number, few, bins, least)
    while few > 1 and not sequences:
        few //= 2
        yield Plan(number, few, FEW_BINS, least)
    for bins in (FEW_BINS // 2, FEW_BINS // 4, FEWEST_BINS):
        yield Plan(number, few, bins, least)
