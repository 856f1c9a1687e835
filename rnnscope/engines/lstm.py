"""The fast LSTM engine: the equations of `rnnscope.cells.lstm`, arranged for speed.

What makes it fast: the input projection of many steps is one matrix product; ``out=`` everywhere,
so that nothing is allocated inside the loop; one tanh over all gates, since
sigmoid(z) = tanh(z / 2) / 2 + 1/2, with the half folded into the weights (exact: a power of two);
sequences sorted by length, so that a step touches only those that are still running; threads over
the batch, each with BLAS to itself. Results of the numpy steps equal the reference bit for bit
where BLAS rounds alike; those of the compiled steps to a few units in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any, Literal

import numpy as np

from rnnscope.activations import activation
from rnnscope.cell import Array, CellSpec, LSTMOptions, LSTMWeights
from rnnscope.engines.interface import LayerStates
from rnnscope.network import RecurrentLayer

Steps = Literal["numpy", "numba"]
"""What computes between two matrix products."""

PROJECTION_BYTES = 2 * 2**20
"""Projected inputs of this size are computed ahead: about what a core's second cache holds."""

SMALL_BATCH = 2
"""Up to this many rows a thread, a compiled loop beats calling BLAS once a step."""

GATES = ("i", "f", "g", "o")


class Workspace:
    """Arrays that are used again: asking for one of the same size gives the same memory."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array of that shape, contents undefined."""
        size = int(np.prod(shape))
        known = self._arrays.get(name)
        if known is None or known.size < size or known.dtype != dtype:
            known = self._arrays[name] = np.empty(size, dtype)
        return known[:size].reshape(shape)


@dataclass
class FoldedLSTM:
    """A cell's weights as the loop wants them.

    Attributes
    ----------
    spec : CellSpec
    halves : bool
        Whether sigmoid gates are computed as tanh, with weights of i, f and o halved.
    """

    spec: CellSpec
    halves: bool = field(init=False)

    def __post_init__(self) -> None:
        options = self.spec.options
        self.halves = options.recurrent_activation.value == "sigmoid"

    @staticmethod
    def takes(spec: CellSpec) -> bool:
        """Whether this engine computes all that a cell asks for."""
        weights, options = spec.weights, spec.options
        if type(weights) is not LSTMWeights or type(options) is not LSTMOptions:
            return False
        # What only ONNX cells have is left to the reference.
        return options.gate_clip.value is None and not options.coupled.value

    @cached_property
    def _scale(self) -> Array:
        units = self.spec.num_units
        scale = np.ones(4 * units, self.spec.dtype)
        if self.halves:
            scale[: 2 * units] = scale[3 * units :] = 0.5
        return scale

    @cached_property
    def kernel(self) -> Array:
        return np.ascontiguousarray(self.spec.weights.kernel * self._scale)

    @cached_property
    def recurrent(self) -> Array:
        return np.ascontiguousarray(self.spec.weights.recurrent_kernel * self._scale)

    @cached_property
    def bias(self) -> Array:
        result: Array = self.spec.weights.bias * self._scale
        return result

    @cached_property
    def forget_bias(self) -> Any:
        half = 0.5 if self.halves else 1.0
        return self.spec.dtype.type(self.spec.options.forget_bias.value * half)

    @cached_property
    def peepholes(self) -> dict[str, Array]:
        weights = self.spec.weights
        half = self.spec.dtype.type(0.5 if self.halves else 1.0)
        given = {"i": weights.peephole_i, "f": weights.peephole_f, "o": weights.peephole_o}
        return {gate: half * value for gate, value in given.items() if value is not None}

    @cached_property
    def stacked_peepholes(self) -> Array:
        """(3, unit) for i, f, o; zeros where the cell has none."""
        stacked = np.zeros((3, self.spec.num_units), self.spec.dtype)
        for row, gate in enumerate("ifo"):
            if gate in self.peepholes:
                stacked[row] = self.peepholes[gate]
        return stacked

    @property
    def compiles(self) -> bool:
        """Whether the compiled steps know this cell."""
        options = self.spec.options
        names = (options.activation.value, options.output_activation.value)
        return self.spec.dtype == np.float32 and self.halves and names == ("tanh", "tanh")


@dataclass(frozen=True)
class _Order:
    """Which step each row takes when, in the order of processing.

    Attributes
    ----------
    rows : ndarray of int (row,)
        Sequences, longest first.
    lengths : ndarray of int (row,)
        In the order of `rows`.
    timesteps : int
    backward : bool
    within : bool
        A backward layer that turns each sequence within its length.
    """

    rows: Array
    lengths: Array
    timesteps: int
    backward: bool
    within: bool

    @cached_property
    def active(self) -> Array:
        """Rows still running at each processed step (timestep,): always the first ones."""
        steps = np.arange(self.timesteps)
        if self.backward and not self.within:
            steps = steps[::-1]
        # lengths fall along rows: count those longer than each step
        counts: Array = np.searchsorted(-self.lengths, -steps, side="left")
        return counts

    def times(self, step: int, count: int) -> Array | int:
        """The timestep of each of the first `count` rows at a processed step."""
        if not self.backward:
            return step
        if not self.within:
            return self.timesteps - 1 - step
        times: Array = self.lengths[:count] - 1 - step
        return times


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
    steps : {"numpy", "numba"}
        ``"numba"`` applies to cells that it knows, `FoldedLSTM.compiles`.
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
    order = _order(layer, lengths, sequences, timesteps)
    kernels = _kernels() if steps == "numba" and folded.compiles and not gates else None

    def part(number: int, parts: int) -> None:
        if lengths is None:
            rows = slice(number * sequences // parts, (number + 1) * sequences // parts)
        else:
            rows = slice(number, None, parts)  # interleaved: each part gets long and short rows
        mine = _Order(
            order.rows[rows], order.lengths[rows], timesteps, order.backward, order.within
        )
        loop = _Loop(folded, mine, x, before, all_c, all_m, kept, kernels)
        c, m = loop.run()
        final["c"][mine.rows], final["m"][mine.rows] = c, m

    parts = max(1, min(threads, sequences))
    if parts > 1 and pool is not None:
        for job in [pool.submit(part, number, parts) for number in range(parts)]:
            job.result()
    else:
        part(0, 1)
    outputs = _pad(layer, lengths, all_c, all_m, kept, before, final, held, make)
    return LayerStates({"c": all_c, "m": all_m}, outputs, before, final, kept)


class _Loop:
    """One thread's rows, step after step."""

    def __init__(
        self,
        folded: FoldedLSTM,
        order: _Order,
        x: Array,
        before: Mapping[str, Array],
        all_c: Array,
        all_m: Array,
        kept: Mapping[str, Array],
        kernels: ModuleType | None,
    ) -> None:
        self._folded = folded
        self._order = order
        self._x = x
        self._all_c, self._all_m, self._kept = all_c, all_m, kept
        self._kernels = kernels
        spec = folded.spec
        rows = len(order.rows)
        self.c = before["c"][order.rows]
        self.m = before["m"][order.rows]
        self._wide = np.empty((rows, spec.num_units), spec.dtype)
        self._z = np.empty((rows, 4 * spec.num_units), spec.dtype)
        self._slice = _as_slice(order.rows)

    def run(self) -> tuple[Array, Array]:
        """The states after the last step, (row, width)."""
        active = self._order.active
        busy = np.flatnonzero(active)
        if busy.size == 0:
            return self.c, self.m
        advance = self._choose()
        width = self._z.shape[1] * self._z.itemsize * max(1, len(self._order.rows))
        ahead = int(max(1, PROJECTION_BYTES // width))
        for start in range(int(busy[0]), int(busy[-1]) + 1, ahead):
            stop = min(start + ahead, int(busy[-1]) + 1)
            advance(start, stop, self._project(start, stop, int(active[start:stop].max())))
        return self.c, self.m

    def _choose(self) -> Callable[[int, int, Array], None]:
        if self._kernels is None:
            return self._advance_numpy
        spec = self._folded.spec
        small = len(self._order.rows) <= SMALL_BATCH
        if small and spec.weights.projection is None and spec.num_units % 4 == 0:
            return self._advance_sequences
        return self._advance_compiled

    def _project(self, start: int, stop: int, count: int) -> Array:
        """``x @ kernel + bias`` of some processed steps, (step, row, 4·unit)."""
        order, x = self._order, self._x
        rows = order.rows[:count]
        # BLAS rounds the product of a single row otherwise: it is given two, so that a run has the
        # same bits wherever time is cut.
        padded = np.empty((max(2, (stop - start) * count), x.shape[2]), x.dtype)
        padded[-1] = 0
        gathered = padded[: (stop - start) * count].reshape(stop - start, count, x.shape[2])
        if not order.within and self._slice is not None and count == len(order.rows):
            times = slice(start, stop)
            if order.backward:
                first = order.timesteps - 1 - start
                last = order.timesteps - 1 - stop
                times = slice(first, None if last < 0 else last, -1)
            np.copyto(gathered, x[self._slice, times].swapaxes(0, 1))
        else:
            for step in range(start, stop):
                # Rows that are not running yet, or no more, are projected with the rest and
                # never read; their place in time only has to exist.
                times_of = np.clip(order.times(step, count), 0, order.timesteps - 1)
                gathered[step - start] = x[rows, times_of]
        z = np.matmul(padded, self._folded.kernel)[: (stop - start) * count]
        z += self._folded.bias
        shaped: Array = z.reshape(stop - start, count, -1)
        return shaped

    def _advance_numpy(self, start: int, stop: int, z_x: Array) -> None:
        order, folded = self._order, self._folded
        for step in range(start, stop):
            count = int(order.active[step])
            z = self._z[:count]
            np.matmul(self.m[:count], folded.recurrent, out=z)
            np.add(z, z_x[step - start, :count], out=z)
            gates = self._cell(z, self.c[:count], self._wide[:count])
            self._output(count)
            times = order.times(step, count)
            self._put(self._all_c, count, times, self.c)
            self._put(self._all_m, count, times, self.m)
            for gate, array in self._kept.items():
                self._put(array, count, times, gates[gate])

    def _put(self, array: Array, count: int, times: Array | int, values: Array) -> None:
        rows = self._order.rows
        if isinstance(times, int) and self._slice is not None and count == len(rows):
            array[self._slice, times] = values
        else:
            array[rows[:count], times] = values[:count]

    def _cell(self, z: Array, c: Array, wide: Array) -> dict[str, Array]:
        """From pre-activations to c (in place) and o * act(c) (in `wide`)."""
        folded, units = self._folded, c.shape[1]
        options = folded.spec.options
        peepholes = folded.peepholes
        i, f, g, o = (z[:, gate * units : (gate + 1) * units] for gate in range(4))
        if folded.forget_bias:
            f += folded.forget_bias
        if "f" in peepholes:
            f += peepholes["f"] * c
        if "i" in peepholes:
            i += peepholes["i"] * c
        late = "o" in peepholes
        if folded.halves and options.activation.value == "tanh":
            early = z[:, : 3 * units] if late else z
            np.tanh(early, out=early)
            _unhalve(z[:, : 2 * units])
            if not late:
                _unhalve(o)
        else:
            act = activation(options.activation.value).function
            for block in (i, f, *(() if late else (o,))):
                self._gate(block)
            g[...] = act(g)
        c *= f
        np.multiply(i, g, out=wide)
        c += wide
        clip = options.cell_clip.value
        if clip is not None:
            np.clip(c, -c.dtype.type(clip), c.dtype.type(clip), out=c)
        if late:
            o += peepholes["o"] * c
            self._gate(o)
        if options.output_activation.value == "tanh":
            np.tanh(c, out=wide)
        else:
            wide[...] = activation(options.output_activation.value).function(c)
        wide *= o
        return {"i": i, "f": f, "g": g, "o": o}

    def _gate(self, block: Array) -> None:
        """The gates' activation, in place."""
        if self._folded.halves:
            np.tanh(block, out=block)
            _unhalve(block)
        else:
            name = self._folded.spec.options.recurrent_activation.value
            block[...] = activation(name).function(block)

    def _output(self, count: int) -> None:
        """From o * act(c), in `_wide`, to m: through the projection where there is one."""
        m, wide = self.m[:count], self._wide[:count]
        projection = self._folded.spec.weights.projection
        if projection is None:
            m[...] = wide
            return
        np.matmul(wide, projection, out=m)
        clip = self._folded.spec.options.proj_clip.value
        if clip is not None:
            np.clip(m, -m.dtype.type(clip), m.dtype.type(clip), out=m)

    def _advance_compiled(self, start: int, stop: int, z_x: Array) -> None:
        order, folded, kernels = self._order, self._folded, self._kernels
        assert kernels is not None
        spec = folded.spec
        clip = spec.options.cell_clip.value
        plain = not folded.peepholes and clip is None
        bound = np.float32(np.inf if clip is None else clip)
        projected = spec.weights.projection is not None
        constant = np.zeros(1, np.int64)
        for step in range(start, stop):
            count = int(order.active[step])
            z, c, m = self._z[:count], self.c[:count], self.m[:count]
            np.matmul(m, folded.recurrent, out=z)
            now = order.times(step, count)
            if isinstance(now, int):
                constant[0] = now
                times = np.broadcast_to(constant, (count,))
            else:
                times = now
            x_part, rows = z_x[step - start, :count], order.rows[:count]
            if projected:
                self._projected_step(z, x_part, bound, count, rows, times)
            elif plain:
                kernels.plain_step(
                    z, x_part, folded.forget_bias, c, m, self._all_c, self._all_m, rows, times
                )
            else:
                kernels.step(
                    z, x_part, folded.forget_bias, folded.stacked_peepholes, bound, c, m,
                    self._all_c, self._all_m, rows, times,
                )  # fmt: skip

    def _projected_step(
        self, z: Array, z_x: Array, bound: Any, count: int, rows: Array, times: Array
    ) -> None:
        assert self._kernels is not None
        wide = self._wide[:count]
        self._kernels.step_to(
            z, z_x, self._folded.forget_bias, self._folded.stacked_peepholes, bound,
            self.c[:count], wide, self._all_c, rows, times,
        )  # fmt: skip
        self._output(count)
        self._all_m[rows, times] = self.m[:count]

    def _advance_sequences(self, start: int, stop: int, z_x: Array) -> None:
        order, folded, kernels = self._order, self._folded, self._kernels
        assert kernels is not None
        clip = folded.spec.options.cell_clip.value
        bound = np.float32(np.inf if clip is None else clip)
        active = order.active[start:stop]
        for row in range(z_x.shape[1]):
            running = np.flatnonzero(active > row)
            if running.size == 0:
                continue
            first, last = int(running[0]), int(running[-1]) + 1
            steps = np.arange(start + first, start + last)
            if order.within:
                times = order.lengths[row] - 1 - steps
            else:
                times = order.timesteps - 1 - steps if order.backward else steps
            kernels.sequence(
                z_x[first:last, row], folded.recurrent, folded.forget_bias,
                folded.stacked_peepholes, bound, self.c[row], self.m[row],
                self._all_c, self._all_m, order.rows[row], times,
            )  # fmt: skip


def _as_slice(rows: Array) -> slice | None:
    """Rows that follow each other as a slice, which copies faster than a list of rows."""
    if len(rows) and bool((np.diff(rows) == 1).all()):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return None


def _unhalve(block: Array) -> None:
    half = block.dtype.type(0.5)
    block *= half
    block += half


def _start(
    initial: Mapping[str, Array] | None, name: str, shape: tuple[int, int], dtype: np.dtype[Any]
) -> Array:
    if initial is None or name not in initial:
        return np.zeros(shape, dtype)
    return np.array(np.broadcast_to(initial[name], shape), dtype)


def _order(layer: RecurrentLayer, lengths: Array | None, sequences: int, timesteps: int) -> _Order:
    backward = layer.backward.value
    if lengths is None:
        rows = np.arange(sequences)
        full = np.full(sequences, timesteps)
        return _Order(rows, full, timesteps, backward, within=False)
    rows = np.argsort(-lengths, kind="stable")
    within = backward and layer.reversal == "within length"
    return _Order(rows, lengths[rows].astype(np.int64), timesteps, backward, within)


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


def _kernels() -> ModuleType:
    from rnnscope.engines import lstm_numba

    return lstm_numba
