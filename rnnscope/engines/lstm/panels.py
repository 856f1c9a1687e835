"""An LSTM cell's weights packed in panels, as compiled steps read them.

Imported only when llvmlite is installed and the work pays for loading it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnscope.engines.lstm.cpu import Compiled, tile
from rnnscope.engines.lstm.kernel_code import KernelKind, compiled
from rnnscope.engines.lstm.vectors import GATES, Tile
from rnnscope.engines.workspace import aligned
from rnnscope.model.cell import Array, CellSpec


@dataclass(frozen=True)
class Panels:
    """A cell's weights in panels, as `rnnscope.engines.lstm.kernel_code` reads them."""

    kind: KernelKind
    tile: Tile
    kernel: Array
    recurrent: Array
    bias: Array
    peepholes: Array
    projection: Array

    @classmethod
    def of(
        cls, spec: CellSpec, kernel: Array, recurrent: Array, bias: Array, peepholes: Array
    ) -> Panels:
        """Pack a cell's weights.

        Parameters
        ----------
        spec : CellSpec
        kernel : ndarray (input, 4·num_units)
        recurrent : ndarray (output, 4·num_units)
        bias : ndarray (4·num_units,)
            All three with the halves of sigmoid gates in them.
        peepholes : ndarray (3, num_units)
            Of i, f and o; zeros where the cell has none.
        """
        lanes = tile().lanes
        weights, options = spec.weights, spec.options
        units = -(-spec.num_units // lanes) * lanes
        wide_peepholes = aligned((3, units))
        wide_peepholes[:, : spec.num_units] = peepholes
        projected = weights.projection is not None
        return cls(
            kind=KernelKind(
                peepholes=any(
                    peephole is not None
                    for peephole in (weights.peephole_i, weights.peephole_f, weights.peephole_o)
                ),
                cell_clip=options.cell_clip.value is not None,
                projection=projected,
            ),
            tile=tile(),
            kernel=_panels(kernel, lanes),
            recurrent=_panels(recurrent, lanes),
            bias=_panels(bias[None], lanes),
            peepholes=wide_peepholes,
            projection=_blocks(weights.projection, GATES * lanes) if projected else aligned((0,)),
        )

    def code(self) -> Compiled:
        """The functions that run such a cell."""
        return compiled(self.kind, self.tile)


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
