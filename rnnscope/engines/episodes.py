"""Sequences whose state is reset on the way: every episode is run as a sequence of its own.

An engine whose steps give the same bits in any batch gives the same bits here, and none of them
has to know resets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.resets import Resets
from rnnscope.model.states import LayerStates

RunEpisodes = Callable[[Array, Array, Mapping[str, Array], Array], LayerStates]
"""``run(x, mask, initial, held)``: a layer over sequences that have no resets."""


def run_by_episode(
    run: RunEpisodes,
    layer: RecurrentLayer,
    x: Array,
    mask: Array | None,
    initial: Mapping[str, Array] | None,
    held: Array | None,
    resets: Resets,
) -> LayerStates:
    """Every state of every timestep of a layer that reads forward.

    Parameters
    ----------
    run : callable
    layer : RecurrentLayer
    x : ndarray (sequence, timestep, input)
    mask : ndarray of bool (sequence, timestep) or None
    initial : mapping of str to ndarray (sequence, width) or None
    held : ndarray (sequence, output) or None
        The output before the first step.
    resets : Resets

    Returns
    -------
    LayerStates
        As of a whole run.
    """
    sequences, timesteps = x.shape[:2]
    dtype, widths = layer.cell.dtype, CELLS[layer.cell.kind].widths(layer.cell)
    begun = {name: _rows_of(initial, name, (sequences, width), dtype)
             for name, width in widths.items()}  # fmt: skip
    fresh = {name: _rows_of(resets.state, name, (sequences, width), dtype)
             for name, width in widths.items()}  # fmt: skip
    before = np.zeros((sequences, layer.output_size), dtype) if held is None else held
    starts = resets.steps.copy()
    starts[:, 0] = True
    rows, first = np.nonzero(starts)
    ends = np.append(first[1:], timesteps)
    ends[:-1][rows[1:] != rows[:-1]] = timesteps
    lengths = ends - first
    after_reset = resets.steps[rows, first][:, None]
    whole: dict[str, dict[str, Array]] = {"states": {}, "gates": {}, "outputs": {}}
    for some in _alike(lengths):
        row, most = rows[some], int(lengths[some].max())
        offsets = np.arange(most)
        inside = offsets < lengths[some][:, None]
        times = np.minimum(first[some][:, None] + offsets, timesteps - 1)
        counts = inside if mask is None else inside & mask[row[:, None], times]
        at_start = {name: np.where(after_reset[some], fresh[name][row], begun[name][row])
                    for name in widths}  # fmt: skip
        made = run(x[row[:, None], times], counts, at_start, before[row])
        found = {"states": made.states, "gates": made.gates, "outputs": {"": made.outputs}}
        to = np.broadcast_to(row[:, None], inside.shape)[inside], times[inside]
        for kind, arrays in found.items():
            for name, array in arrays.items():
                if name not in whole[kind]:
                    shape = (sequences, timesteps, array.shape[2])
                    whole[kind][name] = np.empty(shape, array.dtype)
                whole[kind][name][to] = array[inside]
    states = whole["states"]
    return LayerStates(
        states=states,
        outputs=whole["outputs"][""],
        initial=begun,
        final={name: array[:, -1].copy() for name, array in states.items()},
        gates=whole["gates"],
    )


def _alike(lengths: Array) -> Iterator[Array]:
    """Episodes of about one length together: padded to the longest, they at most double."""
    sizes = np.frexp(lengths.astype(np.float64))[1]
    for size in np.unique(sizes):
        yield np.flatnonzero(sizes == size)


def _rows_of(
    given: Mapping[str, Array] | None,
    name: str,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
) -> Array:
    """A state for every sequence; zeros where none is given."""
    if given is None or name not in given:
        return np.zeros(shape, dtype)
    return np.array(np.broadcast_to(given[name], shape), dtype)
