"""A cell's weights packed in panels, as compiled steps read them.

Imported only when llvmlite is installed and the work pays for loading it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.cpu import Compiled, tile
from rnnscope.engines.compiled.kernels import compiled
from rnnscope.engines.compiled.layout import (
    KernelKind,
    Packing,
    kind_of,
    packing_of,
    row_stride,
)
from rnnscope.engines.compiled.tile import Tile
from rnnscope.engines.workspace import aligned
from rnnscope.model.cell import Array, CellSpec


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
    stride : int
        Of the rows of states, buffers and parameters: `row_stride` of the widest product.
    products : tuple of PackedProduct
    parameters : ndarray (parameter, stride)
    """

    kind: KernelKind
    tile: Tile
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
        return cls(kind, here, stride, tuple(products), parameters)

    def code(self) -> Compiled:
        """The function that runs such a cell."""
        return compiled(self.kind, self.tile)


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
