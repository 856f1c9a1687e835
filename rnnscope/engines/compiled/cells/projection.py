"""What cells with a projection and peepholes share: a second product makes m of ``wide``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from rnnscope.engines.compiled.cells.interface import Product, Rows, Units, Weights
from rnnscope.model.cell import Array, CellSpec


class Projecting(Protocol):
    """A variant of such a cell."""

    @property
    def projection(self) -> bool: ...

    @property
    def proj_clip(self) -> bool: ...


def name_of_m(variant: Projecting) -> str:
    """Where the equations of the gates put ``o * act(c)``."""
    return "wide" if variant.projection else "m"


def buffers(variant: Projecting) -> tuple[str, ...]:
    """What the second product reads."""
    return ("wide",) if variant.projection else ()


def stages(
    gates: Sequence[str], equations: Callable[[Units], None], variant: Projecting
) -> tuple[Product | Rows, ...]:
    """The product of the gates with its equations, and the projection behind it."""
    first = Product(tuple(gates), equations)
    if not variant.projection:
        return (first,)
    projected = partial(_projected, clip=variant.proj_clip)
    return first, Product(("m",), projected, left="wide", output=True)


def _projected(units: Units, *, clip: bool) -> None:
    """M of a cell with a projection: the product of ``wide``, clipped."""
    m = units.z("m")
    units.put("m", m.within(units.parameter("proj_clip")) if clip else m)


def weights(spec: CellSpec) -> list[Weights]:
    """The matrices of both products."""
    given = spec.weights
    first = Weights(given.recurrent_kernel, given.kernel, given.bias)
    return [first] if given.projection is None else [first, Weights(given.projection)]


def parameters(spec: CellSpec, limits: Iterable[str], peepholes: str) -> dict[str, Array | float]:
    """The forget bias, the limits that are set, and the peepholes of some gates.

    Parameters
    ----------
    spec : CellSpec
    limits : iterable of str
        Options that may be None.
    peepholes : str
        A letter a gate; empty for a cell without.
    """
    found: dict[str, Array | float] = {"forget_bias": spec.options.forget_bias.value}
    for name in limits:
        limit = getattr(spec.options, name).value
        if limit is not None:
            found[name] = limit
    for gate in peepholes:
        given = getattr(spec.weights, f"peephole_{gate}")
        found[f"peephole_{gate}"] = np.zeros(spec.num_units) if given is None else given
    return found
