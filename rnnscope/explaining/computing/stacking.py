"""Many cells that differ in numbers alone, stepped at once: weights and states have one axis more.

The equations are those of CELLS: they only use the last axes of their arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from rnnscope.explaining.computing.setup import NUMBERS, DrivenLayer
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.cells import CELLS
from rnnscope.model.cells.interface import State
from rnnscope.model.half_floats import rounded


def stack_cells(cells: Sequence[CellSpec], *, from_zeros: bool = False) -> CellSpec:
    """One cell with the weights and numbers of many, the axis of the stack in front.

    Parameters
    ----------
    cells : sequence of CellSpec
        Of one structure.
    from_zeros : bool
        For a step from a state of zeros, in which recurrent kernels mean nothing: that of the
        first cell stands for all, since stacking them is what costs most.

    Returns
    -------
    CellSpec
        Matrices are (stack, rows, columns), vectors (stack, 1, width), numbers (stack, 1, 1); the
        stack is 1 long where all are the same.
    """
    first = cells[0]
    weights = {
        field.name: _stacked(
            [getattr(cell.weights, field.name) for cell in cells],
            one=from_zeros and field.name == "recurrent_kernel",
        )
        for field in fields(first.weights)
    }
    options = first.options
    changed: dict[str, Any] = {}
    for name in NUMBERS:
        option = getattr(options, name, None)
        if option is None or option.value is None:
            continue
        values = [getattr(cell.options, name).value for cell in cells]
        if any(value != values[0] for value in values):
            changed[name] = replace(option, value=np.asarray(values)[:, None, None])
    if changed:
        options = replace(options, **changed)
    return replace(first, weights=type(first.weights)(**weights), options=options)


def _stacked(arrays: Sequence[Array | None], *, one: bool) -> Array | None:
    first = arrays[0]
    if first is None:
        return None
    same = one or all(array is first for array in arrays)
    whole = first[None] if same else np.stack([array for array in arrays if array is not None])
    return whole[:, None] if whole.ndim == 2 else whole


def project(cell: CellSpec, x: Array) -> Array:
    """The part of the pre-activations that x makes, (stack, row, timestep, width).

    Parameters
    ----------
    cell : CellSpec
        A stack.
    x : ndarray (stack or 1, row, timestep, input)
    """
    stack, rows, steps, width = x.shape
    z = x.reshape(stack, rows * steps, width) @ cell.weights.kernel + cell.weights.bias
    made: Array = z.reshape(len(z), rows, steps, z.shape[-1])
    return made


def step(
    driven: DrivenLayer, cell: CellSpec, z: Array, state: State
) -> tuple[dict[str, Array], dict[str, Array]]:
    """One step of a stack: states (with ``unprojected`` for an LSTM), and gates."""
    if driven.peephole_of_o != "the clipped c" and cell.weights.peephole_o is not None:
        new, gates = _step_with_other_peephole(driven, cell, z, state)
    else:
        made, seen = CELLS[cell.kind].step(cell, z, state)
        new, gates = dict(made), dict(seen)
    if driven.rounding:
        new = _rounded(driven, cell, new, gates)
    return new, gates


def unprojected(cell: CellSpec, new: Mapping[str, Array], gates: Mapping[str, Array]) -> Array:
    """The m of an LSTM before its projection."""
    out = activation(cell.options.output_activation.value).function
    made: Array = gates["o"] * out(new["c"])
    return made


def _step_with_other_peephole(
    driven: DrivenLayer, cell: CellSpec, z: Array, state: State
) -> tuple[dict[str, Array], dict[str, Array]]:
    """An LSTM step whose o sees another c than the new, clipped one.

    The gates i, f, g and c do not depend on it; o is computed anew, then m as usual.
    """
    weights, options = cell.weights, cell.options
    blind = replace(cell, weights=replace(weights, peephole_o=None, projection=None))
    made, gates = CELLS[cell.kind].step(blind, z, state)
    seen = state["c"] if driven.peephole_of_o == "the previous c" else (
        gates["f"] * state["c"] + gates["i"] * gates["g"]
    )  # fmt: skip
    recurrent = np.split(weights.recurrent_kernel, 4, axis=-1)[3]
    z_o = np.split(z, 4, axis=-1)[3] + state["m"] @ recurrent + weights.peephole_o * seen
    if options.gate_clip.value is not None:
        z_o = np.clip(z_o, -options.gate_clip.value, options.gate_clip.value)
    o = activation(options.recurrent_activation.value).function(z_o)
    gates = {**gates, "o": o}
    m = o * activation(options.output_activation.value).function(made["c"])
    if weights.projection is not None:
        m = m @ weights.projection
        if options.proj_clip.value is not None:
            m = np.clip(m, -options.proj_clip.value, options.proj_clip.value)
    return {"c": made["c"], "m": m}, gates


def round_to(values: Array, dtype: str) -> Array:
    """Values rounded to float16 or bfloat16, as float64."""
    if dtype == "bfloat16":
        return rounded(values, "bfloat16").astype(np.float64)
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float64)


def _rounded(
    driven: DrivenLayer, cell: CellSpec, new: Mapping[str, Array], gates: Mapping[str, Array]
) -> dict[str, Array]:
    rounded = {name: round_to(values, driven.rounding) for name, values in new.items()}
    if driven.rounds_first and "c" in rounded and cell.weights.projection is None:
        rounded["m"] = round_to(unprojected(cell, rounded, gates), driven.rounding)
    return rounded
