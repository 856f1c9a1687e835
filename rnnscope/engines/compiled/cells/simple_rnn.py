"""The simple recurrent cell, compiled: `rnnscope.model.cells.simple_rnn`."""

from __future__ import annotations

from functools import partial

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.cells.interface import CompiledCell, Product, Units, Weights
from rnnscope.engines.compiled.functions import function, is_known
from rnnscope.model.cell import Array, CellSpec


@dataclass(frozen=True)
class Variant:
    """What the code of a simple cell is made for."""

    activation: str
    gate_clip: bool


def _variant(spec: CellSpec) -> Variant | None:
    name = spec.options.activation.value
    clipped = spec.options.gate_clip.value is not None
    return Variant(name, clipped) if is_known(name) else None


def _equations(units: Units, *, variant: Variant) -> None:
    z = units.z("m")
    if variant.gate_clip:
        z = z.within(units.parameter("gate_clip"))
    units.put("m", function(variant.activation)(z))


def _parameters(spec: CellSpec) -> dict[str, Array | float]:
    limit = spec.options.gate_clip.value
    return {} if limit is None else {"gate_clip": limit}


def _weights(spec: CellSpec) -> list[Weights]:
    weights = spec.weights
    return [Weights(weights.recurrent_kernel, weights.kernel, weights.bias)]


SIMPLE_RNN = CompiledCell(
    kind="simple_rnn",
    variant=_variant,
    stages=lambda variant: (Product(("m",), partial(_equations, variant=variant)),),
    weights=_weights,
    parameters=_parameters,
)
