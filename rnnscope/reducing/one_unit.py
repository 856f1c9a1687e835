"""One unit of a layer, over one step, as a layer of its own.

In one step a unit needs its own columns of the kernels, and m before of all units. What the other
units' m comes to is a product with constants there, as that of x is: their m stands beside x, and
their rows of the recurrent kernel below the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec
from rnnscope.reducing.processed import State

BLOCKS = {"lstm": 4, "coupled_lstm": 3, "gru": 3, "simple_rnn": 1}
"""Kinds of cells of which a unit can be cut out, and the gate blocks of their kernels."""


@dataclass(frozen=True, eq=False)
class OneUnit:
    """A unit on its own.

    Attributes
    ----------
    cell : CellSpec
        Of one unit.
    x : ndarray (1, input + other units)
    start : mapping of str to ndarray (1,)
    words : str
        What its input and weights are, for people.
    """

    cell: CellSpec
    x: Array
    start: State
    words: str


def why_whole(cell: CellSpec) -> str:
    """Why a unit of a cell does not stand alone; empty if it does."""
    if cell.kind not in BLOCKS:
        return f"a cell of this kind ({cell.kind}) computes a unit from all others"
    if cell.num_proj is not None:
        return "the projection makes m of all units"
    if cell.kind == "gru" and not cell.options.reset_after.value:
        return "the reset gates of all units come before the product (reset_after=False)"
    return ""


def one_unit(cell: CellSpec, unit: int, x: Array, start: State) -> OneUnit:
    """Cut a unit out of a cell for one step.

    Parameters
    ----------
    cell : CellSpec
        One of which `why_whole` says nothing.
    unit : int
    x : ndarray (1, input)
    start : mapping of str to ndarray (units,)
        The state before the step.
    """
    units, weights = cell.num_units, cell.weights
    columns = unit + units * np.arange(BLOCKS[cell.kind])
    others = np.delete(np.arange(units), unit)
    rest = weights.recurrent_kernel[others][:, columns]
    m_before = np.asarray(start["m"], cell.dtype)[others]
    cut: dict[str, Array] = {}
    for item in fields(weights):
        array = getattr(weights, item.name)
        if array is None:
            continue
        by_gate = array.shape[-1] == len(columns) * units
        picked = columns if by_gate and not item.name.startswith("peephole") else [unit]
        cut[item.name] = np.ascontiguousarray(array[..., picked])
    words = (
        f"x holds the {cell.input_size} inputs of the step, then m before it of the other "
        f"{len(others)} units, whose rows of the recurrent kernel follow those of the kernel"
    )
    if cell.kind == "gru":
        # r multiplies the candidate's product of m: what the others add to it is a constant here.
        second = cut.get("recurrent_bias", np.zeros_like(cut["bias"])).copy()
        second[-1] += m_before @ rest[:, -1]
        cut["recurrent_bias"] = second
        rest = rest.copy()
        rest[:, -1] = 0
        words += "; in the candidate, whose part of m the reset gate multiplies, the product of "
        words += "theirs is in recurrent_bias"
    cut["kernel"] = np.concatenate([cut["kernel"], rest])
    cut["recurrent_kernel"] = np.ascontiguousarray(weights.recurrent_kernel[[unit]][:, columns])
    make: Callable[..., Any] = replace
    own = replace(cell, weights=make(weights, **cut))
    wide = np.concatenate([x, m_before[None]], axis=1)
    return OneUnit(own, wide, {name: values[[unit]] for name, values in start.items()}, words)
