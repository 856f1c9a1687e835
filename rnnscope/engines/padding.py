"""What stands at steps that do not count, by the rule of a layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnscope.engines.step_order import Order
from rnnscope.model.cell import Array


def fill_padding(
    order: Order,
    states: Mapping[str, Array],
    kept: Mapping[str, Array],
    outputs: Array,
    before: Mapping[str, Array],
    held: Array | None,
) -> None:
    """Fill the steps of some rows that do not count.

    States carry what they were before, gates are zero, and the outputs hold the one before, or are
    zero.

    Parameters
    ----------
    order : Order
        The rows that are filled.
    states, kept : mapping of str to ndarray (sequence, timestep, width)
        Written at the steps that count; all others are written here.
    outputs : ndarray (sequence, timestep, output)
        The same, in input time order.
    before : mapping of str to ndarray (sequence, width)
        The states before the first step.
    held : ndarray (sequence, output) or None
        The output before the first step, where outputs are held; None where they are zero.
    """
    if order.holes is not None:
        _fill_holes(order, states, kept, outputs, before, held)
        return
    for row, length in zip(order.rows, order.lengths, strict=True):
        if length == order.timesteps:
            continue
        past = slice(int(length), None)
        # A layer that reads the whole axis from its end meets the padding first, in its initial
        # state.
        ran = length > 0 and not order.late
        last = 0 if order.backward else int(length) - 1
        for name, array in states.items():
            array[row, past] = array[row, last] if ran else before[name][row]
        for array in kept.values():
            array[row, past] = 0
        if held is None:
            outputs[row, past] = 0
        else:
            outputs[row, past] = outputs[row, last] if ran else held[row]


def _fill_holes(
    order: Order,
    states: Mapping[str, Array],
    kept: Mapping[str, Array],
    outputs: Array,
    before: Mapping[str, Array],
    held: Array | None,
) -> None:
    valid = order.valid
    times = np.broadcast_to(order.every_time, valid.shape)
    rows, steps = np.nonzero(~valid)
    if not rows.size:
        return
    # The last step that counted before each, -1 for none.
    counted = np.maximum.accumulate(np.where(valid, np.arange(valid.shape[1]), -1), axis=1)
    last = counted[rows, steps]
    ran = last >= 0
    to = order.rows[rows], times[rows, steps]
    from_ = order.rows[rows], times[rows, np.maximum(last, 0)]

    def carry(array: Array, first: Array) -> None:
        array[to] = array[from_]
        if not ran.all():
            array[to[0][~ran], to[1][~ran]] = first[to[0][~ran]]

    for name, array in states.items():
        carry(array, before[name])
    for array in kept.values():
        array[to] = 0
    if held is None:
        outputs[to] = 0
    else:
        carry(outputs, held)
