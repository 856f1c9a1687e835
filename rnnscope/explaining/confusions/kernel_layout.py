"""Kernels whose bytes are read otherwise: rows in another order, axes the other way round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer
from rnnscope.explaining.confusions.changes import ChangeLayer, every_layer
from rnnscope.explaining.confusions.gate_order import GATES, block_columns, stored_order
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation
from rnnscope.model.cell import Array

ReadMatrix = Callable[[Array], Array | None]


def rows_as_columns(matrix: Array) -> Array:
    """What is stored (gate, input), as torch does, taken for (input, gate)."""
    read: Array = matrix.T.reshape(matrix.shape)
    return read


def columns_as_rows(matrix: Array) -> Array:
    """What is stored (input, gate), as Keras does, taken for (gate, input)."""
    read: Array = matrix.reshape(matrix.shape[::-1]).T
    return read


def _blocks_turned(matrix: Array) -> Array | None:
    rows, columns = matrix.shape
    if columns % rows:
        return None
    return np.concatenate([block.T for block in np.split(matrix, columns // rows, axis=1)], axis=1)


def _transposed(facts: Facts) -> Iterator[Deviation]:
    layers = facts.stackable
    if not layers:
        return
    roles = {"kernel": ("kernel",), "recurrent kernel": ("recurrent_kernel",),
             "both": ("kernel", "recurrent_kernel")}  # fmt: skip
    rows, columns = layers[0].cell.weights.kernel.shape
    for role, names in roles.items():
        what = "the kernels" if role == "both" else f"the {role}"
        whole = (
            f"The bytes of {what} are read with the axes the other way round: the kernel of x is "
            f"{rows} inputs by {columns} gate columns; transpose, do not reshape."
        )
        changes = [_reread(names, read) for read in (rows_as_columns, columns_as_rows)]
        if role == "both":
            changes.append(_one_matrix_reread)
        for change in changes:
            yield Deviation("transposed", role, every_layer(change), advice=whole)
        if all(any(_square(driven, name) for driven in layers) for name in names):
            yield Deviation(
                "transposed",
                f"{role}, gate by gate",
                every_layer(_reread(names, _blocks_turned)),
                advice=f"Each gate's block of {what} is transposed there: transpose it back.",
            )


def _reread(names: Sequence[str], read: ReadMatrix) -> ChangeLayer:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        found = {
            name: _in_stored_order(driven, getattr(driven.cell.weights, name), read)
            for name in names
        }
        changed = {name: array for name, array in found.items() if array is not None}
        return driven.with_weights(**changed) if changed else None

    return change


def _in_stored_order(driven: DrivenLayer, array: Array, read: ReadMatrix) -> Array | None:
    """An array as the file has its columns, read again, and put in the cell's order."""
    if driven.cell.kind not in GATES:
        return read(array)
    columns = block_columns(driven, stored_order(driven))
    found = read(array[:, columns])
    if found is None:
        return None
    back = np.empty_like(found)
    back[:, columns] = found
    return back


def _one_matrix_reread(driven: DrivenLayer) -> DrivenLayer | None:
    """[x; m] in one matrix, as TensorFlow 1 has it, taken for its transpose."""
    weights = driven.cell.weights
    whole = np.concatenate([weights.kernel, weights.recurrent_kernel])
    read = _in_stored_order(driven, whole, columns_as_rows)
    if read is None:
        return None
    cut = len(weights.kernel)
    return driven.with_weights(kernel=read[:cut], recurrent_kernel=read[cut:])


def _square(driven: DrivenLayer, name: str) -> bool:
    """Whether a gate's block has as many rows as columns."""
    return bool(getattr(driven.cell.weights, name).shape[0] == driven.cell.num_units)


def _kernel_rows(facts: Facts) -> Iterator[Deviation]:
    def swapped(driven: DrivenLayer) -> DrivenLayer:
        weights = driven.cell.weights
        whole = np.concatenate([weights.kernel, weights.recurrent_kernel])
        cut = len(weights.recurrent_kernel)
        return driven.with_weights(recurrent_kernel=whole[:cut], kernel=whole[cut:])

    if facts.stackable:
        weights = facts.stackable[0].cell.weights
        yield Deviation(
            "kernel-rows",
            "[m; x]",
            every_layer(swapped),
            advice="The rows of the kernel are the other way round: the first "
            f"{len(weights.kernel)} are for x, the last {len(weights.recurrent_kernel)} for m.",
        )


CONFUSIONS = (Confusion("transposed", _transposed), Confusion("kernel-rows", _kernel_rows))
