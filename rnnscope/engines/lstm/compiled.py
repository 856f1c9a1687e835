"""Compiled steps of an LSTM: the arrays that `rnnscope.engines.lstm.kernel_code` works on.

Imported only when llvmlite is installed and the work pays for loading it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnscope.engines.lstm.cpu import Compiled, tile
from rnnscope.engines.lstm.folded import FoldedLSTM
from rnnscope.engines.lstm.kernel_code import Kind, compiled
from rnnscope.engines.lstm.step_order import Order
from rnnscope.engines.lstm.vectors import GATES, Tile
from rnnscope.engines.workspace import aligned
from rnnscope.model.cell import Array

PROJECTION_BYTES = 2**19
"""Projected inputs of this size are computed ahead: a part of what a core's second cache holds, and
at least a step's."""

PLACES = 2**16
"""Steps of single sequences in one call: half a megabyte of where they are."""

PRODUCTS = 2**34
"""Multiplications in one call, which nothing interrupts: a quarter of a second."""


@dataclass(frozen=True)
class Panels:
    """A cell's weights in panels, as `rnnscope.engines.lstm.kernel_code` reads them."""

    kind: Kind
    tile: Tile
    kernel: Array
    recurrent: Array
    bias: Array
    peepholes: Array
    projection: Array

    @classmethod
    def of(cls, folded: FoldedLSTM) -> Panels:
        """Pack a cell's weights."""
        spec, lanes = folded.spec, tile().lanes
        weights, options = spec.weights, spec.options
        units = -(-spec.num_units // lanes) * lanes
        peepholes = aligned((3, units))
        peepholes[:, : spec.num_units] = folded.stacked_peepholes
        projected = weights.projection is not None
        return cls(
            kind=Kind(
                peepholes=bool(folded.peepholes),
                cell_clip=options.cell_clip.value is not None,
                projection=projected,
            ),
            tile=tile(),
            kernel=_panels(folded.kernel, lanes),
            recurrent=_panels(folded.recurrent, lanes),
            bias=_panels(folded.bias[None], lanes),
            peepholes=peepholes,
            projection=_blocks(weights.projection, GATES * lanes) if projected else aligned((0,)),
        )

    def code(self) -> Compiled:
        """The functions that run such a cell."""
        return compiled(self.kind, self.tile)


def _cuts(starts: Array, places: int) -> Array:
    """Cut steps into chunks of as many places, or of one step where it has more."""
    wanted = np.arange(0, starts[-1], places, dtype=np.int64)
    cuts = np.searchsorted(starts, wanted, side="right") - 1
    return np.append(cuts[np.diff(cuts, prepend=-1) > 0], len(starts) - 1).astype(np.int64)


def _limit(clip: float | None) -> float:
    return float("inf") if clip is None else float(clip)


def _panels(matrix: Array, lanes: int) -> Array:
    """(row, 4·unit) to (panel, row, gate, lane), zeros past the last unit."""
    rows, units = matrix.shape[0], matrix.shape[1] // GATES
    panels = -(-units // lanes)
    packed = aligned((panels, rows, GATES, lanes))
    gates = matrix.reshape(rows, GATES, units)
    for panel in range(panels):
        block = gates[:, :, panel * lanes : (panel + 1) * lanes]
        packed[panel, :, :, : block.shape[2]] = block
    return packed


def _blocks(matrix: Array, width: int) -> Array:
    """(row, column) to (block, row, `width`), zeros past the last column."""
    packed = aligned((-(-matrix.shape[1] // width), matrix.shape[0], width))
    for block in range(len(packed)):
        columns = matrix[:, block * width : (block + 1) * width]
        packed[block, :, : columns.shape[1]] = columns
    return packed


class CompiledSteps:
    """One thread's rows, step after step, in machine code; arguments as `NumpySteps`."""

    def __init__(
        self,
        folded: FoldedLSTM,
        order: Order,
        x: Array,
        before: Mapping[str, Array],
        all_states: Mapping[str, Array],
    ) -> None:
        panels = folded.panels
        self._panels = panels
        self._order = order
        self._all = all_states
        self._before = before
        self._spec = folded.spec
        rows, lanes = len(order.rows), panels.tile.lanes
        count = len(panels.recurrent)
        self._c = aligned((rows, count * lanes))
        self._c[:, : folded.spec.num_units] = before["c"][order.rows]
        projected = panels.kind.projection
        m_stride = panels.projection.shape[0] * GATES * lanes if projected else count * lanes
        self._m = aligned((2, rows, m_stride))
        self._m[:, :, : folded.spec.output_size] = before["m"][order.rows]
        self._odd = 0
        self._code = panels.code()
        options = folded.spec.options
        self._fixed: dict[str, Any] = {
            "x": x, "input": x.shape[2], "kernel": panels.kernel, "bias": panels.bias,
            "recurrent": panels.recurrent, "panels": count, "units": folded.spec.num_units,
            "c": self._c, "m": self._m, "m_stride": m_stride, "rows": rows,
            "depth": folded.spec.output_size, "all_c": all_states["c"], "all_m": all_states["m"],
            "part_c": aligned((panels.tile.rows, lanes)),
            "part_m": aligned((panels.tile.rows, lanes)),
            "numbers": np.arange(max(rows, panels.tile.rows), dtype=np.int64),
            "peepholes": panels.peepholes,
            "forget_bias": float(folded.forget_bias), "cell_clip": _limit(options.cell_clip.value),
            "wide": aligned((rows, count * lanes)) if projected else aligned((0,)),
            "projection": panels.projection, "projection_panels": len(panels.projection),
            "zeros": aligned((GATES, lanes)), "proj_clip": _limit(options.proj_clip.value),
        }  # fmt: skip

    def run(self) -> tuple[Array, Array]:
        """The states after the last step, (row, width)."""
        active = self._order.active
        busy = np.flatnonzero(active)
        if busy.size:
            first, last = int(busy[0]), int(busy[-1]) + 1
            each = self._panels.kernel.size + self._panels.recurrent.size
            steps = max(1, min(PLACES, PRODUCTS // each) // int(active.max()))
            for start in range(first, last, steps):
                self._advance(start, min(start + steps, last))
        return self._c[:, : self._spec.num_units], self._last_m()

    def _advance(self, start: int, stop: int) -> None:
        bias = self._fixed["bias"]
        places, starts = self._order.places(start, stop)
        cuts = _cuts(starts, max(1, PROJECTION_BYTES // bias.nbytes))
        most = int(np.diff(starts[cuts]).max())
        z = aligned((most * bias.size,), zeros=False)
        self._code.call("steps", {
            "chunks": len(cuts) - 1, "cuts": cuts, "starts": starts, "places": places,
            "first": self._odd, "z": z, **self._fixed,
        })  # fmt: skip
        self._odd = (self._odd + stop - start) % 2

    def _last_m(self) -> Array:
        """The output of each row's last step; the one before, where it has none."""
        order = self._order
        m = self._before["m"][order.rows]
        ran = order.lengths > 0
        last = np.zeros_like(order.lengths) if order.backward else order.lengths - 1
        m[ran] = self._all["m"][order.rows[ran], last[ran]]
        return m
