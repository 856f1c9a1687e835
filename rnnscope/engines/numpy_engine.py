"""The numpy engine: a cell of CELLS, driven over time.

The input projection of all steps is one matrix product; the steps follow one another. A backward
layer is a forward run over the turned sequence, and its states are turned back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.resets import Resets
from rnnscope.model.states import LayerStates


def run_layer(
    layer: RecurrentLayer,
    x: Array,
    mask: Array | None = None,
    initial: Mapping[str, Array] | None = None,
    *,
    gates: bool = False,
    held: Array | None = None,
    resets: Resets | None = None,
) -> LayerStates:
    """Every state of every timestep of one layer.

    Parameters
    ----------
    layer : RecurrentLayer
    x : ndarray (sequence, timestep, input)
        Of the dtype of the cell's weights.
    mask : ndarray of bool (sequence, timestep), optional
        True at steps that count. Ignored if the layer's padding rule is ``none``.
    initial : mapping of str to ndarray (sequence, width), optional
        The state before the first step, in parts or whole; zeros otherwise.
    gates : bool
        Keep the gates too. At steps that do not count they are zero.
    held : ndarray (sequence, output), optional
        The output before the first step, which the rule ``hold`` repeats; zeros otherwise.
    resets : Resets, optional
        Steps before which the state returns to another value; of a layer that reads forward.

    Returns
    -------
    LayerStates
        In input time order.
    """
    cell = CELLS[layer.cell.kind]
    sequences, timesteps = x.shape[:2]
    dtype = layer.cell.dtype
    rule = layer.padding.value
    if rule == "none" and not (cell.run is not None and layer.cell.weights.takes_lengths):
        mask = None
    turn = _Turn.of(layer, mask, timesteps)
    taken = turn(x)
    if cell.run is not None:
        return _run_whole(layer, cell.run, taken, mask, initial or {}, turn)
    with _quiet():
        z = cell.project(layer.cell, taken)
    steps_mask = None if mask is None else turn(mask)

    widths = cell.widths(layer.cell)
    state = {
        name: np.zeros((sequences, width), dtype)
        if initial is None or name not in initial
        else np.broadcast_to(np.asarray(initial[name], dtype), (sequences, width)).copy()
        for name, width in widths.items()
    }
    before = dict(state)
    states = {name: np.empty((sequences, timesteps, w), dtype) for name, w in widths.items()}
    outputs = np.empty((sequences, timesteps, layer.output_size), dtype)
    kept = (
        {gate: np.empty((sequences, timesteps, layer.cell.num_units), dtype) for gate in cell.gates}
        if gates
        else {}
    )
    if held is None:
        held = np.zeros((sequences, layer.output_size), dtype)
    for t in range(timesteps):
        if resets is not None:
            again = resets.steps[:, t, None]
            state = {
                name: np.where(again, resets.state.get(name, np.zeros((), dtype)), array)
                for name, array in state.items()
            }
        with _quiet():
            new, step_gates = cell.step(layer.cell, z[:, t], state)
            returned = layer.returned(new["m"], taken[:, t])
        if steps_mask is None:
            state = dict(new)
            outputs[:, t] = returned
        else:
            counts = steps_mask[:, t, None]
            state = {name: np.where(counts, new[name], state[name]) for name in state}
            past = held if rule == "hold" else 0
            outputs[:, t] = held = np.where(counts, returned, past)
            step_gates = {gate: np.where(counts, value, 0) for gate, value in step_gates.items()}
        for name, array in states.items():
            array[:, t] = state[name]
        for gate, array in kept.items():
            array[:, t] = step_gates[gate]
    return LayerStates(
        states={name: turn(array) for name, array in states.items()},
        outputs=turn(outputs) if layer.outputs_in_input_order else outputs,
        initial=before,
        final=state,
        gates={gate: turn(array) for gate, array in kept.items()},
    )


def _run_whole(
    layer: RecurrentLayer,
    run: Callable[..., LayerStates],
    x: Array,
    mask: Array | None,
    initial: Mapping[str, Array],
    turn: _Turn,
) -> LayerStates:
    """A cell that runs whole sequences itself: it knows lengths, but no masks with holes."""
    lengths = None if mask is None else np.count_nonzero(mask, axis=1)
    if mask is not None and lengths is not None:
        plain = np.arange(mask.shape[1]) < lengths[:, None]
        if not np.array_equal(mask, plain):
            raise InputError(
                "A layer that is evaluated as the graph computes it takes no mask with holes.",
                expected="valid steps first, then padding",
                hint="give lengths, or no mask",
            )
    with _quiet():
        made = run(layer.cell, x, lengths, initial)
    outputs = turn(made.outputs) if layer.outputs_in_input_order else made.outputs
    states = {name: turn(array) for name, array in made.states.items()}
    return replace(made, states=states, outputs=outputs)


def _quiet() -> np.errstate:
    """What is not finite is found by a check, which says where; numpy would say in which line."""
    return np.errstate(over="ignore", invalid="ignore")


class _Turn:
    """Turning the time axis, which undoes itself when done twice."""

    def __init__(self, order: Array | slice | None) -> None:
        self._order = order

    @classmethod
    def of(cls, layer: RecurrentLayer, mask: Array | None, timesteps: int) -> _Turn:
        if not layer.backward.value:
            return cls(None)
        if layer.reversal == "whole" or mask is None:
            return cls(slice(None, None, -1))
        # TensorFlow's reverse_sequence: the first `length` steps turn, the rest stay. Where a mask
        # has holes, the length is one past the last valid step: a rule for each sequence by
        # itself, so that no sequence's states depend on which others share its slice.
        steps = np.arange(timesteps)
        lengths = np.where(mask, steps + 1, 0).max(axis=1, initial=0)[:, None]
        return cls(np.where(steps < lengths, lengths - 1 - steps, steps))

    def __call__(self, array: Array) -> Array:
        if self._order is None:
            return array
        if isinstance(self._order, slice):
            return np.ascontiguousarray(array[:, self._order])
        order = self._order.reshape(self._order.shape + (1,) * (array.ndim - 2))
        turned: Array = np.take_along_axis(array, order, axis=1)
        return turned
