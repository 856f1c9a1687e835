"""The fast engine: the equations of `rnnscope.model.cells`, arranged for speed.

Two loops compute the same: `NumpySteps` for LSTMs everywhere, `CompiledSteps` in machine code made
for the CPU at hand. Threads take parts of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rnnscope.engines.compiled import PackedCell
from rnnscope.engines.lstm import FoldedLSTM, NumpySteps
from rnnscope.engines.own_processor import own_processor
from rnnscope.engines.padding import fill_padding
from rnnscope.engines.step_order import Order, order_of
from rnnscope.engines.workspace import Workspace
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates

Prepared = FoldedLSTM | PackedCell
"""A cell's weights, prepared for numpy or for machine code."""

PARTS = 2
"""Most parts of the batch for each thread, of compiled steps."""

ROWS = 32
"""Least rows of such a part: weights are read once for all of them."""

LEAST_WORK = 2**13
"""Cell-steps from which compiled steps split the batch: a single step of a decoder that feeds
itself is over before a thread has begun."""

SHARED_BYTES = 2**20
"""Up to so large an m of all sequences, threads share each step and do not split the batch: then
each reads its part of the weights alone, but all of m, which has to find room beside them in its
second cache."""

OWN_BYTES = 2**19
"""Up to so many bytes of weights, which the second cache of each core holds, threads split the
batch where each gets `OWN_ROWS` or more: to meet at every step costs more there than it saves."""

OWN_ROWS = 2

LEAST_STEP, LEAST_STEP_ALONE, LEAST_SHARED = 2**17, 2**15, 3 * 2**22
"""Multiplications of a step, of a step of a single sequence, which cannot be split, and of a whole
run, that are worth waiting for one another: they meet at every step, which takes a fifth of a
microsecond, and some fifty pass until a thread has woken up."""

Make = Callable[[str, tuple[int, ...], Any], Array]


def run_fast(
    layer: RecurrentLayer,
    x: Array,
    lengths: Array | None = None,
    initial: Mapping[str, Array] | None = None,
    *,
    prepared: Prepared,
    holes: Array | None = None,
    gates: bool = False,
    held: Array | None = None,
    pool: ThreadPoolExecutor | None = None,
    threads: int = 1,
    workspace: Workspace | None = None,
) -> LayerStates:
    """Every state of every timestep of a layer, fast.

    Parameters
    ----------
    layer : RecurrentLayer
    x : ndarray (sequence, timestep, input)
        In the dtype of the cell.
    lengths : ndarray of int (sequence,), optional
        Valid steps; ignored if the layer's padding rule is ``none``.
    initial : mapping of str to ndarray (sequence, width), optional
        State before the first step; zeros otherwise.
    prepared : FoldedLSTM or PackedCell
        The layer's weights. They say what computes the steps.
    holes : ndarray of bool (sequence, timestep), optional
        The steps that count, in place of `lengths`, where they are not a plain prefix. For
        compiled steps alone.
    gates : bool
        Keep the gates; compiled steps do so if they were packed for it.
    held : ndarray (sequence, output), optional
        The output before the first step, which the rule ``hold`` repeats; zeros otherwise.
    pool, threads : optional
        Where and into how many parts the batch is split.
    workspace : Workspace, optional
        Where the arrays of the result live. Without it they are new.

    Returns
    -------
    LayerStates
        `outputs` is the same array as m where both are the same by rule.
    """
    spec, cell = layer.cell, CELLS[layer.cell.kind]
    sequences, timesteps = x.shape[:2]
    if layer.padding.value == "none":
        lengths = holes = None
    if lengths is not None and bool((lengths == timesteps).all()):
        lengths = None
    make = (workspace or Workspace()).array
    size = (sequences, timesteps)
    widths = cell.widths(spec)
    states = {name: make(name, (*size, width), spec.dtype) for name, width in widths.items()}
    kept = {
        gate: make(f"gate {gate}", (*size, spec.num_units), spec.dtype)
        for gate in (cell.gates if gates else ())
    }
    before = {
        name: _start(initial, name, (sequences, width), spec.dtype)
        for name, width in widths.items()
    }
    final = {name: np.empty_like(array) for name, array in before.items()}
    order = order_of(layer, lengths, sequences, timesteps, holes)
    padded = lengths is not None or holes is not None
    outputs = states["m"]
    if padded or layer.wrapper:
        outputs = make("outputs", (*size, layer.output_size), spec.dtype)
    hold = layer.padding.value == "hold"
    if hold and held is None:
        held = np.zeros((sequences, layer.output_size), spec.dtype)
    shared = pool is not None and _share_steps(prepared, sequences, timesteps, threads)
    make_loop = _loop(prepared, x, before, states, kept, pool, threads if shared else 1)

    def part(number: int, parts: int) -> None:
        mine = order.part(number, parts)
        for name, array in make_loop(mine).run().items():
            final[name][mine.rows] = array
        if outputs is not states["m"]:
            outputs[mine.rows] = _returned(layer, states["m"], x, mine.rows)
        if padded:
            fill_padding(mine, states, kept, outputs, before, held if hold else None)

    parts = min(threads, sequences)
    if isinstance(prepared, PackedCell):
        # More parts than threads, where each stays large: a thread that is late then holds up
        # the others for no longer than a part takes.
        parts = max(parts, min(threads * PARTS, sequences // ROWS))
        if shared or sequences * timesteps * spec.num_units < LEAST_WORK:
            parts = 1
    if threads > 1 and parts > 1 and pool is not None:

        def part_beside(number: int) -> None:
            # Steps in numpy would stay where they began: only machine code lets go.
            with own_processor(threads if isinstance(prepared, PackedCell) else 0):
                part(number, parts)

        for job in [pool.submit(part_beside, number) for number in range(parts)]:
            job.result()
    else:
        part(0, 1)
    if layer.backward.value and not layer.outputs_in_input_order:
        times = np.broadcast_to(_by_sequence(order), size)[..., None]
        outputs = np.take_along_axis(outputs, times, axis=1)
    return LayerStates(states, outputs, before, final, kept)


def _loop(
    prepared: Prepared,
    x: Array,
    before: Mapping[str, Array],
    states: Mapping[str, Array],
    kept: Mapping[str, Array],
    pool: ThreadPoolExecutor | None,
    threads: int,
) -> Callable[[Order], Any]:
    """What runs the rows of a part of the batch, in one thread or in some that share its steps."""
    if isinstance(prepared, FoldedLSTM):
        return lambda order: NumpySteps(prepared, order, x, before, states, kept)
    from rnnscope.engines.compiled.compiled_steps import CompiledSteps

    x = np.ascontiguousarray(x)
    prepared.compile()
    return lambda order: CompiledSteps(
        prepared, order, x, before, states, kept, pool=pool, threads=threads
    )


def _share_steps(prepared: Prepared, sequences: int, timesteps: int, threads: int) -> bool:
    """Whether threads do better to share each step than to split the batch."""
    if not isinstance(prepared, PackedCell) or threads < 2:
        return False
    spec = prepared.spec
    weights = spec.weights.kernel.nbytes + spec.weights.recurrent_kernel.nbytes
    if weights <= OWN_BYTES and sequences >= OWN_ROWS * threads:
        return False
    if sequences * spec.output_size * spec.dtype.itemsize > SHARED_BYTES:
        return False
    step = sequences * int(spec.weights.recurrent_kernel.size)
    least = LEAST_STEP_ALONE if sequences == 1 else LEAST_STEP
    return step >= least and step * timesteps >= LEAST_SHARED


def _returned(layer: RecurrentLayer, m: Array, x: Array, rows: Array) -> Array:
    """What a layer returns for m of some sequences, before the padding rule."""
    of_m = m[rows]
    if not layer.wrapper:
        return of_m
    flat = of_m.reshape(-1, m.shape[2]), x[rows].reshape(-1, x.shape[2])
    with np.errstate(over="ignore", invalid="ignore"):
        returned = layer.returned(*flat)
    return returned.reshape(*of_m.shape[:2], -1)


def _by_sequence(order: Order) -> Array:
    """The timestep of every processed step, in the order of the sequences."""
    times = order.every_time
    if len(times) == 1:
        return times
    turned = np.empty_like(times)
    turned[order.rows] = times
    return turned


def _start(
    initial: Mapping[str, Array] | None, name: str, shape: tuple[int, int], dtype: np.dtype[Any]
) -> Array:
    if initial is None or name not in initial:
        return np.zeros(shape, dtype)
    return np.array(np.broadcast_to(initial[name], shape), dtype)
