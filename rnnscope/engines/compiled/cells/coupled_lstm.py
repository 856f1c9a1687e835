"""The coupled LSTM, compiled: `rnnscope.model.cells.coupled_lstm`."""

from __future__ import annotations

from functools import partial

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.cells import projection
from rnnscope.engines.compiled.cells.interface import CompiledCell, Product, Rows, Units
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
    options = spec.options
    names = (options.activation.value, options.recurrent_activation.value)
    if not is_known(*names):
        return None
    return Variant(
        *names,
        peepholes=_has_peepholes(spec),
        projection=spec.weights.projection is not None,
        proj_clip=options.proj_clip.value is not None,
    )


def _has_peepholes(spec: CellSpec) -> bool:
    return spec.weights.peephole_f is not None or spec.weights.peephole_o is not None


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
    units.put(projection.name_of_m(variant), o * act(c))
    units.keep(i=i, f=f, g=g, o=o)


def _stages(variant: Variant) -> tuple[Product | Rows, ...]:
    return projection.stages(COUPLED_GATE_ORDER, partial(_gates, variant=variant), variant)


def _parameters(spec: CellSpec) -> dict[str, Array | float]:
    return projection.parameters(spec, ("proj_clip",), "fo" if _has_peepholes(spec) else "")


COUPLED_LSTM = CompiledCell(
    kind="coupled_lstm",
    variant=_variant,
    stages=_stages,
    weights=projection.weights,
    parameters=_parameters,
    buffers=projection.buffers,
)
