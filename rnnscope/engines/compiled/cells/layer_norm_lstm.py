"""The layer-normalised LSTM, compiled: `rnnscope.model.cells.layer_norm_lstm`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.cells.interface import (
    CompiledCell,
    Product,
    Row,
    Rows,
    Units,
    Weights,
)
from rnnscope.engines.compiled.functions import function, is_known
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec

if TYPE_CHECKING:
    from rnnscope.engines.compiled.vectors import Vector


@dataclass(frozen=True)
class Variant:
    """What the code of a layer-normalised LSTM is made for."""

    activation: str
    recurrent_activation: str


def _variant(spec: CellSpec) -> Variant | None:
    names = (spec.options.activation.value, spec.options.recurrent_activation.value)
    return Variant(*names) if is_known(*names) else None


def _sums(units: Units) -> None:
    for gate in GATE_ORDER:
        units.put(f"z_{gate}", units.z(gate))


def _normalised(row: Row, name: str, scale: str) -> Callable[[Units], Vector]:
    """What reads a buffer with mean 0 and variance 1 over the units, scaled and offset."""
    # Lanes past the last unit hold zeros, and `inside` is zero there.
    count = row.number("count")
    mean = row.total(lambda units: units.state(name)) / count

    def squared(units: Units) -> Vector:
        centred = (units.state(name) - mean) * units.parameter("inside")
        return centred * centred

    root = (row.total(squared) / count + row.number("epsilon")).root()

    def read(units: Units) -> Vector:
        scaled = (units.state(name) - mean) / root * units.parameter(f"gamma_{scale}")
        return scaled + units.parameter(f"beta_{scale}")

    return read


def _row(row: Row, *, variant: Variant) -> None:
    act, recurrent = function(variant.activation), function(variant.recurrent_activation)
    normalised = {gate: _normalised(row, f"z_{gate}", gate) for gate in GATE_ORDER}

    def new_c(units: Units) -> None:
        i = recurrent(normalised["i"](units))
        f = recurrent(normalised["f"](units) + units.parameter("forget_bias"))
        g, o = act(normalised["g"](units)), recurrent(normalised["o"](units))
        c = f.fma(units.state("c"), i * g) * units.parameter("inside")
        units.put("new_c", c)
        units.put("new_o", o)
        units.keep(i=i, f=f, g=g, o=o)

    row.each(new_c)
    carried = _normalised(row, "new_c", "c")

    def new_m(units: Units) -> None:
        c = carried(units)
        units.put("c", c)
        units.put("m", units.state("new_o") * act(c))

    row.each(new_m)


def _weights(spec: CellSpec) -> list[Weights]:
    weights = spec.weights
    return [Weights(weights.recurrent_kernel, weights.kernel)]


def _parameters(spec: CellSpec) -> dict[str, Array | float]:
    weights, options = spec.weights, spec.options
    found: dict[str, Array | float] = {
        "forget_bias": options.forget_bias.value,
        "epsilon": options.epsilon.value,
        "inside": np.ones(spec.num_units),
        "count": float(spec.num_units),
        "gamma_c": weights.state_gamma,
        "beta_c": weights.state_beta,
    }
    for name in ("gamma", "beta"):
        blocks = np.split(getattr(weights, name), len(GATE_ORDER))
        found |= {f"{name}_{gate}": block for gate, block in zip(GATE_ORDER, blocks, strict=True)}
    return found


LAYER_NORM_LSTM = CompiledCell(
    kind="layer_norm_lstm",
    variant=_variant,
    stages=lambda variant: (
        Product(GATE_ORDER, _sums),
        Rows(partial(_row, variant=variant)),
    ),
    weights=_weights,
    parameters=_parameters,
    # New values have buffers of their own: past the last unit, those of z have to stay zero.
    buffers=lambda _: (*(f"z_{gate}" for gate in GATE_ORDER), "new_c", "new_o"),
)
