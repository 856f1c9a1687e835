"""What lengths have to do with a difference: shifted, or not given on one side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod

import numpy as np

from rnnscope.comparing.align import LayerOfSet, align
from rnnscope.comparing.hints import LOOK_BYTES
from rnnscope.comparing.result import ArrayDiff, DiffResult
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.model.cell import Array
from rnnscope.states.state_set import StateSet


def short_sequence_hints(
    a: LayerOfSet, b: LayerOfSet, arrays: Iterable[ArrayDiff], settings: DiffSettings
) -> tuple[str, ...]:
    """Whether all that differs are sequences that are shorter than the others.

    Parameters
    ----------
    a, b : LayerOfSet
    arrays : iterable of ArrayDiff
        What was found of the layer's arrays.
    settings : DiffSettings
    """
    lengths = a.states.valid_steps()
    lengths = b.states.valid_steps() if lengths is None else lengths
    steps = a.states.timesteps or b.states.timesteps
    if lengths is None or steps is None or not (lengths < steps).any() or (lengths < steps).all():
        return ()
    differing = np.zeros(len(lengths), bool)
    for array in arrays:
        if array.verdict == "differ":
            found = _differing_sequences(a, b, array.name, settings)
            if found is None or len(found) != len(lengths):
                return ()
            differing |= found
    if not differing.any() or (differing & (lengths >= steps)).any():
        return ()
    return (f"only sequences shorter than {steps} differ: were lengths given?",)


def _differing_sequences(
    a: LayerOfSet, b: LayerOfSet, key: str, settings: DiffSettings
) -> Array | None:
    """Which sequences of an array differ; None if it cannot be told."""
    pair, problems = align(a, b, key, padding=settings.padding)
    if pair is None or problems or prod(pair.a.shape) * pair.a.dtype.itemsize > LOOK_BYTES:
        return None
    one, other = pair.a.read(), pair.b.read()
    held = settings.tolerances.of(a.layer.name, key, (one.dtype, other.dtype))
    if held.ulp is not None:
        return None
    with np.errstate(invalid="ignore"):
        limit = held.atol + held.rtol * np.maximum(np.abs(one), np.abs(other))
        apart = ~(np.abs(one - other) <= limit)
    if pair.valid is not None:
        apart &= pair.valid[:, :, None]
    found: Array = apart.reshape(len(apart), -1).any(axis=1)
    return found


def length_hints(a: StateSet, b: StateSet, result: DiffResult) -> list[str]:
    """What is to be said where lengths differ: whether they are shifted, whether states agree."""
    hints = []
    steps_a, steps_b = a.valid_steps(), b.valid_steps()
    if steps_a is not None and steps_b is not None:
        apart = steps_b - steps_a
        if (apart == apart[0]).all():
            side = "longer" if apart[0] > 0 else "shorter"
            hints.append(f"B's lengths are shifted: each is {abs(int(apart[0]))} {side} than A's")
    states = [array for layer in result.layers for array in layer.arrays
              if array.axes == ("sequence", "timestep", "unit")]  # fmt: skip
    if states and all(replace(array, problems=()).exceed == 0 for array in states):
        hints.append("at the steps that are valid on both sides the states are equal")
    return hints
