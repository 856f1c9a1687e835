"""The gate that a difference of c or m comes from, where both sides keep their gates."""

from __future__ import annotations

import numpy as np

from rnnscope.comparing.align import LayerOfSet, align
from rnnscope.comparing.tolerance import Tolerances
from rnnscope.states.state_set import GATES

FEEDING = {"c": ("i", "f", "g"), "m": ("o",), "outputs": ("o",)}
"""The gates that make a state of one step: c from i, f, g and the c before; m from o and c."""


def gate_of(
    a: LayerOfSet, b: LayerOfSet, array: str, place: tuple[int, ...], tolerances: Tolerances
) -> str:
    """The gates that differ where a state first does; words, or empty if nothing tells.

    Parameters
    ----------
    a, b : LayerOfSet
    array : str
    place : tuple of int
        (sequence, timestep, unit), counted in the aligned arrays.
    tolerances : Tolerances
    """
    gates = [gate for gate in FEEDING.get(array, ()) if _both(a, b, GATES + gate)]
    if not gates:
        return ""
    differing = [gate for gate in gates if _differs(a, b, gate, place, tolerances)]
    if differing:
        return f"gate {' and '.join(differing)}"
    if array == "c":
        before = "the c before" if place[1] else "the initial c"
        return f"none of {', '.join(gates)} there: {before}"
    return "not o: c"


def _both(a: LayerOfSet, b: LayerOfSet, key: str) -> bool:
    return key in a.layer.arrays and key in b.layer.arrays


def _differs(
    a: LayerOfSet, b: LayerOfSet, gate: str, place: tuple[int, ...], tolerances: Tolerances
) -> bool:
    key = GATES + gate
    pair, _ = align(a, b, key)
    if pair is None:
        return False
    sequence, timestep, unit = place
    same_width = a.layer.arrays.get("c") is None or pair.a.shape[2] > unit
    units = slice(unit, unit + 1) if same_width else slice(0, pair.a.shape[2])
    at = (slice(sequence, sequence + 1), slice(timestep, timestep + 1), units)
    one, other = (array.read(at).astype(np.float64) for array in (pair.a, pair.b))
    held = tolerances.of(a.layer.name, key, (pair.a.dtype, pair.b.dtype))
    scale = np.maximum(np.abs(one), np.abs(other))
    limit = held.atol + held.rtol * scale if held.ulp is None else 0.0
    return not bool((np.abs(one - other) <= limit).all())
