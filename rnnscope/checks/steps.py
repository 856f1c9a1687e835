"""Which steps of a slice count, and in which order its layer took them.

Everything here is index arithmetic on (sequence, timestep) positions. Timesteps are in input
order, as in the trace, also for layers that read from the end.
"""

from __future__ import annotations

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.resets import due_resets
from rnnscope.model.states import LayerSlice


def shape(layer: LayerSlice) -> tuple[int, int]:
    """How many sequences and timesteps the slice has, from whichever array it holds."""
    states = layer.states
    arrays = [*states.states.values(), states.outputs, *states.gates.values()]
    sequences, timesteps = arrays[0].shape[:2]
    return int(sequences), int(timesteps)


def valid_steps(layer: LayerSlice) -> Array | None:
    """True at the steps that lengths or mask call valid (sequence, timestep); None without both."""
    if layer.mask is not None:
        as_bool: Array = layer.mask.astype(bool, copy=False)
        return as_bool
    if layer.lengths is None:
        return None
    mask: Array = np.arange(shape(layer)[1]) < layer.lengths[:, None]
    return mask


def computed_steps(layer: LayerSlice) -> Array | None:
    """The valid steps as the layer sees them: None (every step) where it uses no lengths."""
    return None if layer.facts.padding == "none" else valid_steps(layer)


def first_valid(mask: Array) -> Array:
    """First valid timestep of each sequence; the number of timesteps where there is none."""
    first: Array = np.where(mask.any(axis=1), mask.argmax(axis=1), mask.shape[1])
    return first


def valid_end(mask: Array) -> Array:
    """One past the last valid timestep of each sequence; 0 where there is none."""
    return np.where(mask.any(axis=1), mask.shape[1] - mask[:, ::-1].argmax(axis=1), 0)


def last_taken(layer: LayerSlice, mask: Array | None) -> tuple[Array, Array]:
    """The step that each sequence ends on: the last in the order of processing.

    Parameters
    ----------
    layer : LayerSlice
    mask : ndarray of bool (sequence, timestep) or None
        The steps that count; None where all do.

    Returns
    -------
    rows, times : ndarray of int (k,)
        Sequences without a valid step are left out, so that k may be less than the sequences.
    """
    sequences, timesteps = shape(layer)
    if mask is None:
        rows = np.arange(sequences if timesteps else 0)
        return rows, np.full(rows.shape, 0 if layer.facts.backward else timesteps - 1)
    rows = np.flatnonzero(mask.any(axis=1))
    # Both ways of reversing take the first valid timestep last.
    times = first_valid(mask)[rows] if layer.facts.backward else valid_end(mask)[rows] - 1
    return rows, times


def _turned_steps(layer: LayerSlice) -> Array:
    """How many steps of each sequence a backward layer turns round (sequence,)."""
    sequences, timesteps = shape(layer)
    # A layer that uses no lengths has none to turn within.
    mask = computed_steps(layer)
    if mask is not None and layer.facts.reversal == "within length":
        # Where a mask has holes, the engine turns all up to the last valid step.
        return valid_end(mask)
    return np.full(sequences, timesteps)


def reset_steps(layer: LayerSlice) -> Array | None:
    """The steps at which a reset comes to pass (sequence, timestep); None without resets."""
    if layer.resets is None:
        return None
    return due_resets(layer.resets, computed_steps(layer))[0]


def step_before(layer: LayerSlice, rows: Array, times: Array) -> Array:
    """The timestep that the layer took just before each given one; -1 for the initial state.

    Resets are no part of it: see `reset_steps`.
    """
    if not layer.facts.backward:
        return times - 1
    turned = _turned_steps(layer)[rows]
    within = np.where(times + 1 < turned, times + 1, -1)
    # Steps behind the ones turned round follow timestep 0.
    behind = np.where(times > turned, times - 1, np.where(turned > 0, 0, -1))
    return np.where(times < turned, within, behind)


def masked_steps(mask: Array) -> tuple[Array, Array]:
    """Rows and times of every step that does not count."""
    rows, times = np.nonzero(~mask)
    return rows, times


def follows_valid_step(layer: LayerSlice, mask: Array, rows: Array, times: Array) -> Array:
    """True where the layer had taken a valid step before the given one."""
    if not layer.facts.backward:
        return times > first_valid(mask)[rows]
    end, turned = valid_end(mask)[rows], _turned_steps(layer)[rows]
    return (times < end - 1) | ((times >= turned) & (end > 0))


def output_rows(layer: LayerSlice, rows: Array, times: Array) -> Array:
    """Where the outputs of the given timesteps lie on the second axis of ``outputs``."""
    if layer.facts.outputs_in_input_order or not layer.facts.backward:
        return times
    turned = _turned_steps(layer)[rows]
    return np.where(times < turned, turned - 1 - times, times)
