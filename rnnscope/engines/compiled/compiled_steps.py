"""Compiled steps of a cell: the arrays that `rnnscope.engines.compiled.kernel_code` works on.

Imported only when llvmlite is installed and the work pays for loading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rnnscope.engines.compiled.layout import ROWS_TOGETHER, row_stride
from rnnscope.engines.compiled.meeting import DONE, letting_others_run, new_place, patience
from rnnscope.engines.compiled.packed_cell import PackedCell
from rnnscope.engines.compiled.schedule import Schedule
from rnnscope.engines.compiled.team import run_together
from rnnscope.engines.step_order import Order
from rnnscope.engines.workspace import aligned
from rnnscope.model.cell import Array

PROJECTION_BYTES = 2**18
"""Projected inputs of this size are computed ahead: a part of what a core's second cache holds.
Where no two steps find room, each step makes its own."""

PLACES = 2**16
"""Steps of single sequences in one call: half a megabyte of where they are."""

PRODUCTS = 2**34
"""Multiplications in one call, which nothing interrupts: a quarter of a second."""


def _cuts(starts: Array, places: int) -> Array:
    """Cut steps into chunks of as many places, or of one step where it has more."""
    if starts[-1] <= places:
        return np.array([0, len(starts) - 1])
    wanted = np.arange(0, starts[-1], places, dtype=np.int64)
    cuts = np.searchsorted(starts, wanted, side="right") - 1
    return np.append(cuts[np.diff(cuts, prepend=-1) > 0], len(starts) - 1).astype(np.int64)


class CompiledSteps:
    """Some rows, step after step, in machine code.

    Parameters
    ----------
    packed : PackedCell
    order, x, before, all_states, kept
        As of `NumpySteps`.
    pool : ThreadPoolExecutor, optional
        Whose threads may share the steps of these rows.
    threads : int
        How many may, with the one that calls. They change no bit.
    """

    def __init__(
        self,
        packed: PackedCell,
        order: Order,
        x: Array,
        before: Mapping[str, Array],
        all_states: Mapping[str, Array],
        kept: Mapping[str, Array] | None = None,
        *,
        pool: ThreadPoolExecutor | None = None,
        threads: int = 1,
    ) -> None:
        panels = self._panels = packed.panels
        kind, spec = panels.kind, packed.spec
        self._schedule = Schedule(order)
        rows, dtype = len(order.rows), spec.dtype
        self._states = {
            name: aligned((2, rows, panels.stride) if name == "m" else (rows, panels.stride), dtype)
            for name in (*kind.states, *kind.buffers)
        }
        for name in kind.states:
            first = self._states[name][0] if name == "m" else self._states[name]
            first[:, : before[name].shape[1]] = before[name][order.rows]
        self._each = panels.multiplications
        self._widths = {name: before[name].shape[1] for name in kind.states}
        self._code = panels.code
        self._pool = pool
        self._threads = threads if pool is not None else 1
        self._tables = [panels.new_table() for _ in range(self._threads)]
        self._used: dict[str, Any] = {
            "x": x, "input": x.shape[2], "patience": patience(rows * self._each),
            "yields": letting_others_run(), **self._states,
        }  # fmt: skip
        self._used |= {f"all_{name}": all_states[name] for name in kind.states}
        self._used |= {f"gate_{name}": (kept or {})[name] for name in kind.kept}
        together = min(rows, ROWS_TOGETHER)
        sums = (2, together, *panels.zeros.shape)
        self._own = own = [aligned(sums, dtype, zeros=False) for _ in self._tables]  # kept alive
        for table, (of_m, of_x) in zip(self._tables, own, strict=True):
            self._code.fill(table, {**self._used, "sums": of_m, "z_rows": of_x})

    def _split(self, parties: int) -> None:
        """Which panels each of some threads takes."""
        for party, table in enumerate(self._tables[:parties]):
            used = {"party": party, "parties": parties}
            for number, product in enumerate(self._panels.products):
                count = len(product.matrix)
                first, end = (count * part // parties for part in (party, party + 1))
                used |= {f"first_{number}": first, f"panels_{number}": end - first}
            self._code.fill(table, used)

    def run(self) -> dict[str, Array]:
        """The states after the last step, (row, width), by name."""
        first, last, most = self._schedule.span()
        while first < last:
            steps = max(1, min(PLACES, PRODUCTS // self._each) // most)
            first += self._advance(first, min(first + steps, last))
        return {
            name: array.reshape(-1, array.shape[-1])[
                self._schedule.last if name == "m" else slice(None), : self._widths[name]
            ]
            for name, array in self._states.items()
            if name in self._widths
        }

    def _advance(self, start: int, stop: int) -> int:
        """Run some steps; how many were done, which may be less where threads shared them."""
        found = self._schedule.at(start, stop)
        sizes = sum(product.bias.nbytes for product in self._panels.products)
        cuts = _cuts(found.starts, max(1, PROJECTION_BYTES // max(1, sizes)))
        most = int(np.diff(found.starts[cuts]).max())
        dtype = self._panels.parameters.dtype
        used: dict[str, Any] = {
            "chunks": len(cuts) - 1, "cuts": cuts, "starts": found.starts, "places": found.places,
            "rows": found.rows, "reads": found.reads, "writes": found.writes,
            "x_stride": row_stride(self._used["input"], dtype.itemsize, self._panels.tile),
            "numbers": np.arange(most),
        }  # fmt: skip
        rows_of_x = (most, used["x_stride"])
        ahead = most if (np.diff(cuts) > 1).any() else 0
        for number, product in enumerate(self._panels.products):
            size = (ahead * product.bias.size,)
            used[f"z_{number}"] = aligned(size, dtype, zeros=False)
        used["meeting"] = place = new_place()
        own = [aligned(rows_of_x, dtype, zeros=False) for _ in self._tables]
        for table, x_rows in zip(self._tables, own, strict=True):
            self._code.fill(table, {**used, "x_rows": x_rows})
        if self._pool is None or self._threads == 1:
            self._code.steps(self._tables[0])
            return stop - start
        run_together(
            self._pool,
            self._threads,
            self._split,
            lambda party: self._code.steps(self._tables[party]),
        )
        done = int(min(place[DONE], stop - start))
        if done < stop - start:  # others need the CPUs: one thread does the rest
            self._threads = 1
            self._split(1)
        return done
