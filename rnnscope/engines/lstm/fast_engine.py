"""The fast LSTM engine: the equations of `rnnscope.model.cells.lstm`, arranged for speed.

Two loops compute the same: `NumpySteps` everywhere, `CompiledSteps` in machine code made for the
CPU at hand. Threads take parts of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np

from rnnscope.engines.lstm.folded import FoldedLSTM
from rnnscope.engines.lstm.numpy_loop import NumpySteps
from rnnscope.engines.lstm.step_order import Order, order_of
from rnnscope.engines.workspace import Workspace
from rnnscope.model.cell import Array
from rnnscope.model.network import RecurrentLayer
from rnnscope.model.states import LayerStates

Steps = Literal["numpy", "compiled"]
"""What computes the steps."""

GATES = ("i", "f", "g", "o")

PARTS = 2
"""Most parts of the batch for each thread, of compiled steps."""

ROWS = 32
"""Least rows of such a part: weights are read once for all of them."""


def run_lstm(
    layer: RecurrentLayer,
    x: Array,
    lengths: Array | None = None,
    initial: Mapping[str, Array] | None = None,
    *,
    folded: FoldedLSTM | None = None,
    gates: bool = False,
    held: Array | None = None,
    steps: Steps = "numpy",
    pool: ThreadPoolExecutor | None = None,
    threads: int = 1,
    workspace: Workspace | None = None,
) -> LayerStates:
    """Every state of every timestep of an LSTM layer, fast.

    Parameters
    ----------
    layer : RecurrentLayer
    x : ndarray (sequence, timestep, input)
        In the dtype of the cell.
    lengths : ndarray of int (sequence,), optional
        Valid steps; ignored if the layer's padding rule is ``none``. Masks with holes are for
        `rnnscope.engines.numpy_engine`.
    initial : mapping of str to ndarray (sequence, width), optional
        State before the first step; zeros otherwise.
    folded : FoldedLSTM, optional
        The cell's weights prepared, to prepare them once for many calls.
    gates : bool
        Keep the gates; always with numpy steps.
    held : ndarray (sequence, output), optional
        The output before the first step, which the rule ``hold`` repeats; zeros otherwise.
    steps : {"numpy", "compiled"}
        ``"compiled"`` applies to cells that it knows, `FoldedLSTM.compiles`.
    pool, threads : optional
        Where and into how many parts the batch is split.
    workspace : Workspace, optional
        Where the arrays of the result live. Without it they are new.

    Returns
    -------
    LayerStates
        `outputs` is the same array as m where both are the same by rule.
    """
    spec = layer.cell
    folded = folded or FoldedLSTM(spec)
    sequences, timesteps = x.shape[:2]
    if layer.padding.value == "none" or (
        lengths is not None and bool((lengths == timesteps).all())
    ):
        lengths = None
    make = (workspace or Workspace()).array
    size = (sequences, timesteps)
    all_c = make("c", (*size, spec.num_units), spec.dtype)
    all_m = make("m", (*size, spec.output_size), spec.dtype)
    kept = {
        gate: make(f"gate {gate}", (*size, spec.num_units), spec.dtype)
        for gate in (GATES if gates else ())
    }
    before = {
        "c": _start(initial, "c", (sequences, spec.num_units), spec.dtype),
        "m": _start(initial, "m", (sequences, spec.output_size), spec.dtype),
    }
    final = {name: np.empty_like(array) for name, array in before.items()}
    order = order_of(layer, lengths, sequences, timesteps)
    states = {"c": all_c, "m": all_m}
    used: Steps = "numpy" if kept or not folded.compiles else steps
    make_loop = _loop(folded, used, x, before, states, kept)

    def part(number: int, parts: int) -> None:
        mine = order.part(number, parts)
        c, m = make_loop(mine).run()
        final["c"][mine.rows], final["m"][mine.rows] = c, m

    parts = min(threads, sequences)
    if used == "compiled":
        # More parts than threads, where each stays large: a thread that is late then holds up
        # the others for no longer than a part takes.
        parts = max(parts, min(threads * PARTS, sequences // ROWS))
    if threads > 1 and parts > 1 and pool is not None:
        for job in [pool.submit(part, number, parts) for number in range(parts)]:
            job.result()
    else:
        part(0, 1)
    outputs = _pad(layer, lengths, all_c, all_m, kept, before, final, held, make)
    return LayerStates(states, outputs, before, final, kept)


def _loop(
    folded: FoldedLSTM,
    steps: Steps,
    x: Array,
    before: Mapping[str, Array],
    states: Mapping[str, Array],
    kept: Mapping[str, Array],
) -> Callable[[Order], Any]:
    """What runs the rows of one thread."""
    if steps == "numpy":
        return lambda order: NumpySteps(folded, order, x, before, states, kept)
    from rnnscope.engines.lstm.compiled import CompiledSteps

    x = np.ascontiguousarray(x)
    folded.compile()
    return lambda order: CompiledSteps(folded, order, x, before, states)


def _start(
    initial: Mapping[str, Array] | None, name: str, shape: tuple[int, int], dtype: np.dtype[Any]
) -> Array:
    if initial is None or name not in initial:
        return np.zeros(shape, dtype)
    return np.array(np.broadcast_to(initial[name], shape), dtype)


def _pad(
    layer: RecurrentLayer,
    lengths: Array | None,
    all_c: Array,
    all_m: Array,
    kept: Mapping[str, Array],
    before: Mapping[str, Array],
    final: Mapping[str, Array],
    held: Array | None,
    make: Callable[[str, tuple[int, ...], np.dtype[Any]], Array],
) -> Array:
    """Fill the steps past each length, by the layer's rule; the outputs."""
    turned = layer.backward.value and not layer.outputs_in_input_order
    if lengths is None:
        return np.ascontiguousarray(all_m[:, ::-1]) if turned else all_m
    outputs = make("outputs", all_m.shape, all_m.dtype)
    np.copyto(outputs, all_m)
    # A layer that reads the whole axis from its end meets the padding first, in its initial state.
    first = layer.backward.value and layer.reversal == "whole"
    source = before if first else final
    hold = layer.padding.value == "hold"
    timesteps = all_c.shape[1]
    for row in np.flatnonzero(lengths < timesteps):
        past = slice(int(lengths[row]), None)
        all_c[row, past] = source["c"][row]
        all_m[row, past] = source["m"][row]
        outputs[row, past] = 0
        if hold:
            ran = not first and lengths[row] > 0
            previous = final["m"][row] if ran else 0 if held is None else held[row]
            outputs[row, past] = previous
        for array in kept.values():
            array[row, past] = 0
    return np.ascontiguousarray(outputs[:, ::-1]) if turned else outputs
