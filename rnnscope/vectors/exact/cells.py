"""One step of each kind of cell on arrays of Decimals.

The equations are those of `rnnscope.model.cells`, written a second time on numbers of forty digits;
`rnnscope.vectors.making` holds every result of these to the engine's, so that neither can be wrong
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from rnnscope.model.cell import Array, CellSpec
from rnnscope.vectors.exact.functions import clipped, exact_activation
from rnnscope.vectors.exact.products import ExactMatrix, to_decimal

State = Mapping[str, Array]


def _clip(values: Array, bound: Any) -> Array:
    if bound is None:
        return values
    most = Decimal(float(bound))
    return np.asarray(np.frompyfunc(lambda z: clipped(z, -most, most), 1, 1)(values), object)


class ExactCell:
    """A cell whose weights are ready for exact products.

    Parameters
    ----------
    cell : CellSpec
        An ``lstm``, ``gru`` or ``simple_rnn``; its weights in float32 or float64.

    Raises
    ------
    UnsupportedCellError
        An activation is not computed exactly.
    """

    def __init__(self, cell: CellSpec) -> None:
        self.cell = cell
        weights, self._options = cell.weights, cell.options
        self._kernel = ExactMatrix(weights.kernel)
        self._bias = to_decimal(weights.bias)
        self._vectors = {
            name: to_decimal(array)
            for name in ("peephole_i", "peephole_f", "peephole_o", "recurrent_bias")
            if (array := getattr(weights, name, None)) is not None
        }
        self._act = exact_activation(cell.options.activation.value)
        if cell.kind == "gru":
            self._recurrent = [ExactMatrix(part) for part in
                               np.split(weights.recurrent_kernel, 3, axis=-1)]  # fmt: skip
        else:
            self._recurrent = [ExactMatrix(weights.recurrent_kernel)]
        if cell.kind != "simple_rnn":
            self._gate = exact_activation(cell.options.recurrent_activation.value)
        if cell.kind == "lstm":
            self._out = exact_activation(cell.options.output_activation.value)
            projection = weights.projection
            self._projection = None if projection is None else ExactMatrix(projection)

    def project(self, x: Array) -> Array:
        """``x @ kernel + bias`` for x (row, input) of Decimals."""
        return self._kernel.multiplied_by(x) + self._bias

    def step(self, z_x: Array, state: State) -> tuple[dict[str, Array], dict[str, Array]]:
        """The new states and the gates, (row, width) each."""
        steps = {"lstm": self._lstm, "gru": self._gru, "simple_rnn": self._simple}
        return steps[self.cell.kind](z_x, state)

    def _lstm(self, z_x: Array, state: State) -> tuple[dict[str, Array], dict[str, Array]]:
        options, seen, c = self._options, self._vectors, state["c"]

        def bounded(z: Array) -> Array:
            return _clip(z, options.gate_clip.value)

        z_i, z_f, z_g, z_o = np.split(
            z_x + self._recurrent[0].multiplied_by(state["m"]), 4, axis=-1
        )
        z_f = z_f + Decimal(float(options.forget_bias.value))
        z_f = z_f + seen["peephole_f"] * c if "peephole_f" in seen else z_f
        z_i = z_i + seen["peephole_i"] * c if "peephole_i" in seen else z_i
        i, g = self._gate(bounded(z_i)), self._act(bounded(z_g))
        f = Decimal(1) - i if options.coupled.value else self._gate(bounded(z_f))
        c = _clip(f * c + i * g, options.cell_clip.value)
        z_o = z_o + seen["peephole_o"] * c if "peephole_o" in seen else z_o
        o = self._gate(bounded(z_o))
        m = o * self._out(c)
        if self._projection is not None:
            m = _clip(self._projection.multiplied_by(m), options.proj_clip.value)
        return {"c": c, "m": m}, {"i": i, "f": f, "g": g, "o": o}

    def _gru(self, z_x: Array, state: State) -> tuple[dict[str, Array], dict[str, Array]]:
        options, m = self._options, state["m"]
        bias = self._vectors.get("recurrent_bias")
        added = [Decimal(0)] * 3 if bias is None else np.split(bias, 3)
        of_r, of_z, of_n = self._recurrent
        z_r, z_z, z_n = np.split(z_x, 3, axis=-1)

        def bounded(value: Array) -> Array:
            return _clip(value, options.gate_clip.value)

        r = self._gate(bounded(z_r + of_r.multiplied_by(m) + added[0]))
        z = self._gate(bounded(z_z + of_z.multiplied_by(m) + added[1]))
        if options.reset_after.value:
            inner = z_n + r * (of_n.multiplied_by(m) + added[2])
        else:
            inner = z_n + of_n.multiplied_by(r * m) + added[2]
        n = self._act(bounded(inner))
        return {"m": z * m + (Decimal(1) - z) * n}, {"r": r, "z": z, "n": n}

    def _simple(self, z_x: Array, state: State) -> tuple[dict[str, Array], dict[str, Array]]:
        z = z_x + self._recurrent[0].multiplied_by(state["m"])
        return {"m": self._act(_clip(z, self._options.gate_clip.value))}, {}
