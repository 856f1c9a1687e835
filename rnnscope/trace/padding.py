"""What a ragged trace leaves out: steps past the length, which follow from the padding rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.trace.schema import FINAL, INITIAL, OUTPUTS, LayerHeader

Past = Array | Literal["zeros", "first", "last"]


def padded(flat: Array, lengths: Array, timesteps: int, past: Past) -> Array:
    """Valid steps with padding after them.

    Parameters
    ----------
    flat : ndarray (step, width)
        The valid steps of all sequences.
    lengths : ndarray of int (sequence,)
    timesteps : int
    past : ndarray (sequence, width) or {"zeros", "first", "last"}
        What stands past the length; the first or the last valid step again.

    Returns
    -------
    ndarray (sequence, timestep, width)
    """
    whole = np.zeros((len(lengths), timesteps, flat.shape[1]), flat.dtype)
    valid = np.arange(timesteps) < lengths[:, None]
    whole[valid] = flat
    if isinstance(past, str):
        if past == "zeros":
            return whole
        at = np.maximum(lengths - 1, 0) if past == "last" else 0
        past = whole[np.arange(len(lengths)), at]
    rows, steps = np.nonzero(~valid)
    whole[rows, steps] = past[rows]
    return whole


def past_length(header: LayerHeader, name: str, ends: Mapping[str, Mapping[str, Array]]) -> Past:
    """What a layer's array holds past the length, as `padded` takes it.

    States stand still: after the last step they are final; a layer that reads from the end and
    turns the whole sequence begins with the padding, where they are still initial. Outputs are
    zeros, or those of the step that was processed before.
    """
    facts = header.known_facts
    begins_there = facts.backward and facts.reversal == "whole"
    if name in header.widths:
        carried: Past = ends[INITIAL if begins_there else FINAL].get(name, "zeros")
        return carried
    if name == OUTPUTS and facts.padding == "hold" and not begins_there:
        return "first" if facts.backward else "last"
    return "zeros"
