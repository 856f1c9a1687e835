"""The steps of an LSTM in numpy, arranged for speed.

What makes it fast: the input projection of many steps is one matrix product; ``out=`` everywhere,
so that nothing is allocated inside the loop; one tanh over all gates, since
sigmoid(z) = tanh(z / 2) / 2 + 1/2, with the half folded into the weights (exact: a power of two);
sequences sorted by length, so that a step touches only those that are still running.

Results equal the reference to rounding, and so do those of the same sequences cut otherwise: in
which order a BLAS sums depends on the CPU and on the number of rows that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnscope.engines.lstm.folded import FoldedLSTM
from rnnscope.engines.step_order import Order
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array

PROJECTION_BYTES = 2 * 2**20
"""Projected inputs of this size are computed ahead: about what a core's second cache holds."""


class NumpySteps:
    """One thread's rows, step after step, in numpy.

    Parameters
    ----------
    folded : FoldedLSTM
    order : Order
        The rows, and when each runs.
    x : ndarray (sequence, timestep, input)
    before : mapping of str to ndarray (sequence, width)
        The states before the first step.
    all_states : mapping of str to ndarray (sequence, timestep, width)
        ``c`` and ``m``, written at the steps that count.
    kept : mapping of str to ndarray (sequence, timestep, unit), optional
        The gates to keep, by name.
    """

    def __init__(
        self,
        folded: FoldedLSTM,
        order: Order,
        x: Array,
        before: Mapping[str, Array],
        all_states: Mapping[str, Array],
        kept: Mapping[str, Array] | None = None,
    ) -> None:
        self._folded = folded
        self._order = order
        self._x = x
        self._all_c, self._all_m = all_states["c"], all_states["m"]
        self._kept = kept or {}
        spec = folded.spec
        rows = len(order.rows)
        self.c = before["c"][order.rows]
        self.m = before["m"][order.rows]
        self._wide = np.empty((rows, spec.num_units), spec.dtype)
        self._z = np.empty((rows, 4 * spec.num_units), spec.dtype)
        self._slice = _as_slice(order.rows)

    def run(self) -> dict[str, Array]:
        """The states after the last step, (row, width), by name."""
        active = self._order.active
        busy = np.flatnonzero(active)
        if busy.size == 0:
            return {"c": self.c, "m": self.m}
        width = self._z.shape[1] * self._z.itemsize * max(1, len(self._order.rows))
        ahead = int(max(1, PROJECTION_BYTES // width))
        # What is not finite is found by a check, which says where; numpy would say in which line.
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(int(busy[0]), int(busy[-1]) + 1, ahead):
                stop = min(start + ahead, int(busy[-1]) + 1)
                count = int(active[start:stop].max())
                self._advance(start, stop, self._project(start, stop, count))
        return {"c": self.c, "m": self.m}

    def _project(self, start: int, stop: int, count: int) -> Array:
        """``x @ kernel + bias`` of some processed steps, (step, row, 4·unit)."""
        order, x = self._order, self._x
        rows = order.rows[:count]
        gathered = np.empty((stop - start, count, x.shape[2]), x.dtype)
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
        flat = gathered.reshape((stop - start) * count, x.shape[2])
        z = np.matmul(flat, self._folded.kernel)
        z += self._folded.bias
        shaped: Array = z.reshape(stop - start, count, -1)
        return shaped

    def _advance(self, start: int, stop: int, z_x: Array) -> None:
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


def _as_slice(rows: Array) -> slice | None:
    """Rows that follow each other as a slice, which copies faster than a list of rows."""
    if len(rows) and bool((np.diff(rows) == 1).all()):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return None


def _unhalve(block: Array) -> None:
    half = block.dtype.type(0.5)
    block *= half
    block += half
