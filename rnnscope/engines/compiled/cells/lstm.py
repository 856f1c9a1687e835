"""The LSTM, compiled: `rnnscope.model.cells.lstm`, with all of its options."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rnnscope.engines.compiled.cells.interface import CompiledCell, Product, Rows, Units, Weights
from rnnscope.engines.compiled.functions import function, is_known
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec

if TYPE_CHECKING:
    from rnnscope.engines.compiled.vectors import Vector


@dataclass(frozen=True)
class Variant:
    """What the code of an LSTM is made for."""

    activation: str
    recurrent_activation: str
    output_activation: str
    peepholes: bool
    cell_clip: bool
    gate_clip: bool
    coupled: bool
    projection: bool
    proj_clip: bool


def _variant(spec: CellSpec) -> Variant | None:
    options = spec.options
    names = (
        options.activation.value,
        options.recurrent_activation.value,
        options.output_activation.value,
    )
    if not is_known(*names):
        return None
    return Variant(
        *names,
        peepholes=spec.peepholes,
        cell_clip=options.cell_clip.value is not None,
        gate_clip=options.gate_clip.value is not None,
        coupled=bool(options.coupled.value),
        projection=spec.weights.projection is not None,
        proj_clip=options.proj_clip.value is not None,
    )


def _gates(units: Units, *, variant: Variant) -> None:
    recurrent = function(variant.recurrent_activation)

    def gate(z: Vector) -> Vector:
        return z.within(units.parameter("gate_clip")) if variant.gate_clip else z

    i, f, g, o = map(units.z, GATE_ORDER)
    c = units.state("c")
    f = f + units.parameter("forget_bias")
    if variant.peepholes:
        i = units.parameter("peephole_i").fma(c, i)
        f = units.parameter("peephole_f").fma(c, f)
    i = recurrent(gate(i))
    g = function(variant.activation)(gate(g))
    f = 1.0 - i if variant.coupled else recurrent(gate(f))
    c = f.fma(c, i * g)
    if variant.cell_clip:
        c = c.within(units.parameter("cell_clip"))
    if variant.peepholes:
        o = units.parameter("peephole_o").fma(c, o)
    o = recurrent(gate(o))
    units.put("c", c)
    units.put("wide" if variant.projection else "m", o * function(variant.output_activation)(c))
    units.keep(i=i, f=f, g=g, o=o)


def projected(units: Units, *, clip: bool) -> None:
    """M of a cell with a projection: the product of ``wide``, clipped."""
    m = units.z("m")
    units.put("m", m.within(units.parameter("proj_clip")) if clip else m)


def _stages(variant: Variant) -> tuple[Product | Rows, ...]:
    first = Product(GATE_ORDER, partial(_gates, variant=variant))
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
    for name in ("cell_clip", "gate_clip", "proj_clip"):
        limit = getattr(options, name).value
        if limit is not None:
            found[name] = limit
    if spec.peepholes:
        for gate in "ifo":
            given = getattr(weights, f"peephole_{gate}")
            found[f"peephole_{gate}"] = np.zeros(spec.num_units) if given is None else given
    return found


LSTM = CompiledCell(
    kind="lstm",
    variant=_variant,
    stages=_stages,
    weights=_weights,
    parameters=_parameters,
    buffers=lambda variant: ("wide",) if variant.projection else (),
)
