"""The coupled LSTM, compiled: `rnnscope.model.cells.coupled_lstm`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from rnnscope.engines.compiled.cells.interface import CompiledCell, Product, Rows, Units, Weights
from rnnscope.engines.compiled.cells.lstm import projected
from rnnscope.engines.compiled.functions import function, is_known
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.cells.coupled_lstm import COUPLED_GATE_ORDER


@dataclass(frozen=True)
class Variant:
    """What the code of a coupled LSTM is made for."""

    activation: str
    recurrent_activation: str
    peepholes: bool
    projection: bool
    proj_clip: bool


def _variant(spec: CellSpec) -> Variant | None:
    weights, options = spec.weights, spec.options
    names = (options.activation.value, options.recurrent_activation.value)
    if not is_known(*names):
        return None
    return Variant(
        *names,
        peepholes=weights.peephole_f is not None or weights.peephole_o is not None,
        projection=weights.projection is not None,
        proj_clip=options.proj_clip.value is not None,
    )


def _gates(units: Units, *, variant: Variant) -> None:
    act, recurrent = function(variant.activation), function(variant.recurrent_activation)
    f, g, o = map(units.z, COUPLED_GATE_ORDER)
    c = units.state("c")
    f = f + units.parameter("forget_bias")
    if variant.peepholes:
        f = units.parameter("peephole_f").fma(c, f)
    f, g = recurrent(f), act(g)
    i = 1.0 - f
    c = f.fma(c, i * g)
    if variant.peepholes:
        o = units.parameter("peephole_o").fma(c, o)
    o = recurrent(o)
    units.put("c", c)
    units.put("wide" if variant.projection else "m", o * act(c))
    units.keep(i=i, f=f, g=g, o=o)


def _stages(variant: Variant) -> tuple[Product | Rows, ...]:
    first = Product(COUPLED_GATE_ORDER, partial(_gates, variant=variant))
    if not variant.projection:
        return (first,)
    projection = partial(projected, clip=variant.proj_clip)
    return first, Product(("m",), projection, left="wide", output=True)


def _weights(spec: CellSpec) -> list[Weights]:
    weights = spec.weights
    first = Weights(weights.recurrent_kernel, weights.kernel, weights.bias)
    return [first] if weights.projection is None else [first, Weights(weights.projection)]


def _parameters(spec: CellSpec) -> dict[str, Array | float]:
    weights, options = spec.weights, spec.options
    found: dict[str, Array | float] = {"forget_bias": options.forget_bias.value}
    if options.proj_clip.value is not None:
        found["proj_clip"] = options.proj_clip.value
    if weights.peephole_f is not None or weights.peephole_o is not None:
        for gate in "fo":
            given = getattr(weights, f"peephole_{gate}")
            found[f"peephole_{gate}"] = np.zeros(spec.num_units) if given is None else given
    return found


COUPLED_LSTM = CompiledCell(
    kind="coupled_lstm",
    variant=_variant,
    stages=_stages,
    weights=_weights,
    parameters=_parameters,
    buffers=lambda variant: ("wide",) if variant.projection else (),
)
