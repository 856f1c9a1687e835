"""The LSTM, compiled: `rnnscope.model.cells.lstm`, with all of its options."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.cells import projection
from rnnscope.engines.compiled.cells.interface import CompiledCell, Product, Rows, Units
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
    units.put(projection.name_of_m(variant), o * function(variant.output_activation)(c))
    units.keep(i=i, f=f, g=g, o=o)


def _stages(variant: Variant) -> tuple[Product | Rows, ...]:
    return projection.stages(GATE_ORDER, partial(_gates, variant=variant), variant)


def _parameters(spec: CellSpec) -> dict[str, Array | float]:
    return projection.parameters(
        spec, ("cell_clip", "gate_clip", "proj_clip"), "ifo" if spec.peepholes else ""
    )


LSTM = CompiledCell(
    kind="lstm",
    variant=_variant,
    stages=_stages,
    weights=projection.weights,
    parameters=_parameters,
    buffers=projection.buffers,
)
