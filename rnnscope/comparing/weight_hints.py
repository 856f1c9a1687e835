"""The usual mistakes of a port, seen in the weights: each is a change of B that makes it equal A.

A hint is never said of what was not seen equal: kernels and bias are compared again after the
change, within the tolerance of the comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np

from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.model.cell import Array, CellSpec, LSTMOptions
from rnnscope.model.cells import CELLS

MOST_GATES = 4
"""Every order of more gates would be tried in vain: no cell has them."""


class ComparedCells(NamedTuple):
    """Two cells of one kind and one size.

    Attributes
    ----------
    a, b : CellSpec
    gates : tuple of str
        In the order of their blocks.
    layer : str
        A's name, which tolerances may be for.
    settings : DiffSettings
    """

    a: CellSpec
    b: CellSpec
    gates: tuple[str, ...]
    layer: str
    settings: DiffSettings

    def equal(self, name: str, one: Array, other: Array) -> bool:
        """Whether two arrays of this name are within the tolerance of each other."""
        if one.shape != other.shape:
            return False
        held = self.settings.tolerances.of(self.layer, name, (one.dtype, other.dtype))
        scale = np.maximum(np.abs(one), np.abs(other))
        with np.errstate(invalid="ignore"):
            return bool((np.abs(one - other) <= held.atol + held.rtol * scale).all())


def weight_hints(
    a: CellSpec, b: CellSpec, layer: str, settings: DiffSettings | None = None
) -> tuple[str, ...]:
    """What was done to B's weights, in words, if one of the usual mistakes makes the difference.

    Parameters
    ----------
    a, b : CellSpec
    layer : str
        A's name, for tolerances by layer.
    settings : DiffSettings, optional

    Returns
    -------
    tuple of str
        Together they make B equal to A; empty if none of the mistakes does, or nothing differs.
    """
    gates = CELLS[a.kind].gates
    if a.kind != b.kind or not 0 < len(gates) <= MOST_GATES or not _comparable(a, b):
        return ()
    cells = ComparedCells(a, b, gates, layer, settings or DiffSettings())
    for words, order in _readings_of_kernels(cells):
        said = _bias_words(cells, order)
        if said is not None:
            return tuple(part for part in (words, said) if part)
    return ()


def _comparable(a: CellSpec, b: CellSpec) -> bool:
    def arrays(cell: CellSpec) -> list[Array | None]:
        names = ("kernel", "recurrent_kernel", "bias")
        return [getattr(cell.weights, name, None) for name in names]

    pairs = zip(arrays(a), arrays(b), strict=True)
    return all(one is not None and other is not None and one.shape == other.shape
               for one, other in pairs)  # fmt: skip


def _readings_of_kernels(cells: ComparedCells) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Ways to read B's kernels in which they are A's: in words, and B's block for each gate."""
    own, own_recurrent = cells.a.weights.kernel, cells.a.weights.recurrent_kernel
    for order in permutations(range(len(cells.gates))):
        kernel = _blocks(cells.b.weights.kernel, order)
        if not cells.equal("kernel", own, kernel):
            continue
        words = _order_words(cells, order)
        recurrent = _blocks(cells.b.weights.recurrent_kernel, order)
        if cells.equal("recurrent_kernel", own_recurrent, recurrent):
            yield words, order
        elif cells.equal("recurrent_kernel", own_recurrent, _turned(recurrent, len(order))):
            turned = "B's recurrent kernel is turned, gate by gate"
            yield f"{words} and {turned}" if words else f"equal if {turned}", order
    rows = np.concatenate([cells.b.weights.kernel, cells.b.weights.recurrent_kernel])
    inputs = cells.a.weights.recurrent_kernel.shape[0]
    if cells.equal("kernel", own, rows[inputs:]) and cells.equal(
        "recurrent_kernel", own_recurrent, rows[:inputs]
    ):
        yield "equal if the rows of B's kernel are read as [m; x]", tuple(range(len(cells.gates)))


def _blocks(array: Array, order: tuple[int, ...]) -> Array:
    """The blocks of the last axis in another order."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[at] for at in order], axis=-1)


def _turned(array: Array, gates: int) -> Array:
    """Each gate's block with rows for columns, where it is a square."""
    parts = np.split(array, gates, axis=-1)
    if parts[0].shape[0] != parts[0].shape[1]:
        return array
    return np.concatenate([part.T for part in parts], axis=-1)


def _order_words(cells: ComparedCells, order: tuple[int, ...]) -> str:
    """B's file read in the order of gates that makes it equal; empty for the one it was read in."""
    if order == tuple(range(len(order))):
        return ""
    meant = {cells.gates[at]: gate for gate, at in zip(cells.gates, order, strict=True)}
    stored = cells.b.stored_gate_order.split()
    if sorted(stored) != sorted(cells.gates):
        stored = list(cells.gates)
    return f"equal if B's gates are read as {' '.join(meant[gate] for gate in stored)}"


def _bias_words(cells: ComparedCells, order: tuple[int, ...]) -> str | None:
    """What makes the biases equal; empty if they are, None if nothing does."""
    own = _with_forget_bias(cells.a, cells.a.weights.bias, cells.gates)
    read = _blocks(cells.b.weights.bias, order)
    other = _with_forget_bias(cells.b, read, cells.gates)
    if cells.equal("bias", own, other):
        return ""
    for side, cell, bias, against in (("A", cells.a, own, other), ("B", cells.b, other, own)):
        added = getattr(cell.weights, "added_bias", None)
        if added is None or added.shape != bias.shape:
            continue
        if side == "B":
            added = _blocks(added, order)
        where = "" if side == "A" else " in A"
        if cells.equal("bias", bias - added, against):
            return f"only bias_ih was copied{where}"
        if cells.equal("bias", added, against):
            return f"only bias_hh was copied{where}"
    return _forget_bias_words(cells, own, other)


def _forget_bias_words(cells: ComparedCells, own: Array, other: Array) -> str | None:
    if "f" not in cells.gates or own.ndim != 1:
        return None
    shape = (len(cells.gates), -1)
    apart = (own - other).reshape(shape)[cells.gates.index("f")]
    # What a person writes down: 1.0, 0.5; a mean of float32 values is near it.
    lacks = round(float(np.mean(apart, dtype=np.float64)), 4)
    filled = other.reshape(shape).copy()
    filled[cells.gates.index("f")] += lacks
    if not lacks or not cells.equal("bias", own, filled.reshape(own.shape)):
        return None
    return f"{'B' if lacks > 0 else 'A'} lacks forget_bias {abs(lacks)}"


def _with_forget_bias(cell: CellSpec, bias: Array, gates: tuple[str, ...]) -> Array:
    """The bias with what a cell adds to its forget gate at run time."""
    if not isinstance(cell.options, LSTMOptions) or bias.ndim != 1 or "f" not in gates:
        return bias
    whole: Array = bias.reshape(len(gates), -1).copy()
    whole[gates.index("f")] += cell.options.forget_bias.value
    return whole.reshape(bias.shape)
