"""Whether states look like what they are said to be, from a sample of their numbers."""

from __future__ import annotations

import numpy as np

from rnnscope.files.arrays.array_views import full_key
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.states.state_set import FINAL, StateLayer, StateSet

BOUND = 1.0
"""|m| of a cell with tanh never exceeds it; c does, as soon as a cell counts."""

SAMPLE_VALUES = 2**16
CLOSE = 1e-4
"""How near two arrays' sampled values must be to speak for a reading; not the verdict."""


def m_keeps_bound(states: StateSet) -> bool:
    """Whether no |m| in a sample exceeds its bound."""
    for layer in states.layers:
        for key in ("m", FINAL + "m"):
            array = layer.arrays.get(key)
            if array is not None and np.abs(_sample(array)).max(initial=0) > BOUND:
                return False
    return True


def _sample(array: StoredArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The first values of an array, by whole sequences or steps, as float64."""
    rows = full_key((), array.shape)
    each = max(1, int(np.prod(array.shape[1:])))
    first = slice(0, min(array.shape[0], max(1, SAMPLE_VALUES // each)))
    key = (first, *rows[1:])
    if len(array.shape) == 3 and each > SAMPLE_VALUES:
        steps = max(1, SAMPLE_VALUES // max(1, array.shape[2]))
        key = (first, slice(0, min(array.shape[1], steps)), rows[2])
    return array.read(key).astype(np.float64)


def layers_are_close(a: StateLayer, b: StateLayer) -> bool:
    """Whether two layers have arrays in common, all of one shape and close in a sample."""
    shared = [key for key in a.arrays if key in b.arrays]
    # Outputs past the length differ by rule, which says nothing about the layer.
    shared = [key for key in shared if key != "outputs"] or shared
    return bool(shared) and all(_arrays_are_close(a.arrays[key], b.arrays[key]) for key in shared)


def _arrays_are_close(a: StoredArray, b: StoredArray) -> bool:
    if len(a.shape) != len(b.shape) or (a.shape[0], a.shape[-1]) != (b.shape[0], b.shape[-1]):
        return False
    first, second = _sample(a), _sample(b)
    if first.ndim == 3:  # one may keep fewer steps
        steps = min(first.shape[1], second.shape[1])
        first, second = first[:, :steps], second[:, :steps]
    with np.errstate(invalid="ignore"):
        close = np.abs(first - second) <= CLOSE * (1 + np.abs(second))
    # Steps past the length may hold zeros on one side and the carried state on the other.
    empty = (first == 0) | (second == 0)
    both = np.isnan(first) & np.isnan(second)
    counted = ~empty | (first == second)
    return bool((close | empty | both).all() and (counted.any() or not counted.size))
