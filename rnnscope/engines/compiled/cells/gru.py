"""The GRU, compiled, in both of its variants: `rnnscope.model.cells.gru`.

With the reset gate before the product, a step has two products, and the second needs what comes out
of the first. Behind it, the product of m is kept apart from the part of x, since r multiplies the
one alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.cells.interface import CompiledCell, Product, Rows, Units, Weights
from rnnscope.engines.compiled.functions import function, is_known
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.cells.gru import GRU_GATE_ORDER

if TYPE_CHECKING:
    from rnnscope.engines.compiled.vectors import Vector


@dataclass(frozen=True)
class Variant:
    """What the code of a GRU is made for."""

    activation: str
    recurrent_activation: str
    reset_after: bool
    recurrent_bias: bool
    gate_clip: bool


def _variant(spec: CellSpec) -> Variant | None:
    options = spec.options
    names = (options.activation.value, options.recurrent_activation.value)
    if not is_known(*names):
        return None
    return Variant(
        *names,
        reset_after=bool(options.reset_after.value),
        recurrent_bias=spec.weights.recurrent_bias is not None,
        gate_clip=options.gate_clip.value is not None,
    )


def _biased(units: Units, variant: Variant, gate: str, sums: Vector) -> Vector:
    return sums + units.parameter(f"bias_{gate}") if variant.recurrent_bias else sums


def _clipped(units: Units, variant: Variant, z: Vector) -> Vector:
    return z.within(units.parameter("gate_clip")) if variant.gate_clip else z


def _blended(units: Units, z: Vector, n: Vector) -> None:
    units.put("m", z.fma(units.state("m"), (1.0 - z) * n))


def _after(units: Units, *, variant: Variant) -> None:
    recurrent = function(variant.recurrent_activation)
    r, z = (
        recurrent(
            _clipped(units, variant, _biased(units, variant, gate, units.x(gate) + units.z(gate)))
        )
        for gate in "rz"
    )
    reset = _biased(units, variant, "n", units.z("n"))
    n = function(variant.activation)(_clipped(units, variant, r.fma(reset, units.x("n"))))
    _blended(units, z, n)
    units.keep(r=r, z=z, n=n)


def _before(units: Units, *, variant: Variant) -> None:
    recurrent = function(variant.recurrent_activation)
    r, z = (
        recurrent(_clipped(units, variant, _biased(units, variant, gate, units.z(gate))))
        for gate in "rz"
    )
    units.put("reset", r * units.state("m"))
    units.put("update", z)
    units.keep(r=r, z=z)


def _candidate(units: Units, *, variant: Variant) -> None:
    biased = _biased(units, variant, "n", units.z("n"))
    n = function(variant.activation)(_clipped(units, variant, biased))
    _blended(units, units.state("update"), n)
    units.keep(n=n)


def _stages(variant: Variant) -> tuple[Product | Rows, ...]:
    if variant.reset_after:
        return (Product(GRU_GATE_ORDER, partial(_after, variant=variant), joined=False),)
    return (
        Product(("r", "z"), partial(_before, variant=variant)),
        Product(("n",), partial(_candidate, variant=variant), left="reset"),
    )


def _weights(spec: CellSpec) -> list[Weights]:
    weights = spec.weights
    whole = Weights(weights.recurrent_kernel, weights.kernel, weights.bias)
    if spec.options.reset_after.value:
        return [whole]
    cut = 2 * spec.num_units
    first, last = slice(0, cut), slice(cut, None)
    return [
        Weights(whole.matrix[:, part], weights.kernel[:, part], weights.bias[part])
        for part in (first, last)
    ]


def _parameters(spec: CellSpec) -> dict[str, Array | float]:
    found: dict[str, Array | float] = {}
    bias, limit = spec.weights.recurrent_bias, spec.options.gate_clip.value
    if limit is not None:
        found["gate_clip"] = limit
    if bias is not None:
        blocks = np.split(bias, len(GRU_GATE_ORDER))
        found |= {f"bias_{gate}": block for gate, block in zip(GRU_GATE_ORDER, blocks, strict=True)}
    return found


GRU = CompiledCell(
    kind="gru",
    variant=_variant,
    stages=_stages,
    weights=_weights,
    parameters=_parameters,
    buffers=lambda variant: () if variant.reset_after else ("reset", "update"),
)
