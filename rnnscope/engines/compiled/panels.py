"""A cell's weights packed in panels, as compiled steps read them.

Imported only when llvmlite is installed and the work pays for loading it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.cpu import tile
from rnnscope.engines.compiled.kernels import compiled
from rnnscope.engines.compiled.layout import (
    KernelKind,
    Packing,
    kind_of,
    packing_of,
    row_stride,
)
from rnnscope.engines.compiled.loaded_code import Compiled
from rnnscope.engines.compiled.tile import Tile
from rnnscope.engines.workspace import aligned
from rnnscope.model.cell import Array, CellSpec

BLOCK_BYTES = 2**15
"""The most of some columns of a panel that is multiplied by all rows before what lies deeper:
about a first cache. Smaller blocks lose more by keeping their sums than is won."""


@dataclass(frozen=True)
class PackedProduct:
    """The weights of one product.

    Attributes
    ----------
    matrix : ndarray (panel, part, left, column of the part, lane)
    kernel : ndarray (panel, part, input, column of the part, lane)
    bias : ndarray (panel, column, lane)
        Both empty where the product has no part of x.
    """

    matrix: Array
    kernel: Array
    bias: Array


@dataclass(frozen=True)
class Panels:
    """A cell's weights in panels, as `rnnscope.engines.compiled.kernel_code` reads them.

    Attributes
    ----------
    kind : KernelKind
    tile : Tile
        Lanes of the cell's own kind of numbers.
    units, depth : int
        Of the cell; the width of its m.
    stride : int
        Of the rows of states, buffers and parameters: `row_stride` of the widest product.
    products : tuple of PackedProduct
    parameters : ndarray (parameter, stride)
    """

    kind: KernelKind
    tile: Tile
    units: int
    depth: int
    stride: int
    products: tuple[PackedProduct, ...]
    parameters: Array

    @classmethod
    def of(cls, spec: CellSpec, *, gates: bool, sequences: int) -> Panels:
        """Pack a cell's weights.

        Parameters
        ----------
        spec : CellSpec
        gates : bool
            Whether gates are kept.
        sequences : int
            How many there are to run together, about.
        """
        here = tile().of(spec.dtype.itemsize)
        rows = min(sequences, here.rows)
        kind = kind_of(spec, here, gates=gates, rows=rows)
        assert kind is not None, spec.kind
        cell = kind.entry
        packings = [packing_of(product, spec, here, rows) for product in kind.products]
        widest = max(packing.panels * packing.blocks for packing in packings) * here.lanes
        stride = row_stride(widest, spec.dtype.itemsize, here)
        products = []
        for packing, weights in zip(packings, cell.weights(spec), strict=True):
            inputs: Sequence[Any] = (weights.kernel, weights.bias)
            if weights.kernel is not None and weights.bias is None:
                inputs = (weights.kernel, np.zeros(weights.kernel.shape[1], spec.dtype))
            kernel, bias = (
                aligned((0,) * 5, spec.dtype) if array is None
                else _packed(np.atleast_2d(array), packing, here.lanes)
                for array in inputs
            )  # fmt: skip
            bias = bias.reshape(-1, packing.columns, here.lanes)
            products.append(
                PackedProduct(_packed(weights.matrix, packing, here.lanes), kernel, bias)
            )
        parameters = aligned((len(kind.parameters), stride), spec.dtype)
        for row, value in zip(parameters, cell.parameters(spec).values(), strict=True):
            row[: np.size(value) if np.ndim(value) else None] = value
        sizes = spec.num_units, spec.output_size
        return cls(kind, here, *sizes, stride, tuple(products), parameters)

    @cached_property
    def code(self) -> Compiled:
        """The function that runs such a cell."""
        return compiled(self.kind, self.tile)

    @cached_property
    def multiplications(self) -> int:
        """Of a step of one row."""
        return sum(one.kernel.size + one.matrix.size for one in self.products)

    @cached_property
    def zeros(self) -> Array:
        """(column, lane) of the widest panel."""
        widest = max(one.matrix.shape[1] * one.matrix.shape[3] for one in self.products)
        return aligned((widest, self.tile.lanes), self.parameters.dtype)

    def new_table(self) -> Array:
        """A table for the code, with what is the same in every call: one thread takes all panels.

        The arrays in it live as long as these panels.
        """
        table: Array = self._table.copy()
        return table

    @cached_property
    def _table(self) -> Array:
        code = self.code
        table = code.new_table()
        values: dict[str, Any] = {
            "units": self.units, "depth": self.depth, "stride": self.stride,
            "parameters": self.parameters, "zeros": self.zeros, "minus_zeros": self._minus_zeros,
            "party": 0, "parties": 1,
        }  # fmt: skip
        for number, product in enumerate(self.products):
            values |= {
                f"first_{number}": 0, f"panels_{number}": len(product.matrix),
                f"blocks_{number}": _blocks(product.matrix),
                f"input_blocks_{number}": _blocks(product.kernel),
                f"matrix_{number}": product.matrix, f"kernel_{number}": product.kernel,
                f"bias_{number}": product.bias,
            }  # fmt: skip
        code.fill(table, values)
        return table

    @cached_property
    def _minus_zeros(self) -> Array:
        minus: Array = aligned(self.zeros.shape, self.zeros.dtype)
        np.negative(self.zeros, out=minus)
        return minus


def _blocks(matrix: Array) -> int:
    """Into how many blocks a product cuts the depth of (panel, part, depth, column, lane)."""
    if not matrix.size:
        return 1
    row = matrix[0, 0, 0].nbytes
    blocks: int = -(-matrix.shape[2] // max(1, BLOCK_BYTES // row))
    return blocks


def _packed(matrix: Array, packing: Packing, lanes: int) -> Array:
    """(row, gate x width) to (panel, part, row, column of it, lane), zeros past the last unit."""
    rows = matrix.shape[0]
    width = matrix.shape[1] // packing.gates
    packed = aligned((packing.panels, rows, packing.blocks, packing.gates, lanes), matrix.dtype)
    gates = matrix.reshape(rows, packing.gates, width)
    for vector in range(-(-width // lanes)):
        block = gates[:, :, vector * lanes : (vector + 1) * lanes]
        panel, place = divmod(vector, packing.blocks)
        packed[panel, :, place, :, : block.shape[2]] = block
    parts = packed.reshape(packing.panels, rows, -1, packing.part, lanes).swapaxes(1, 2)
    ordered = aligned(parts.shape, matrix.dtype, zeros=False)
    ordered[:] = parts
    return ordered
