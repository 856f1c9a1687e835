"""What a cell is to the compiled steps: products, and equations that follow them.

A step is a list of stages. A `Product` multiplies what is known of a row (its m, or a buffer that
an earlier stage filled) with weights, panel after panel; its equations see some units of one row at
a time, as one vector, while the sums are in the first cache. `Rows` sees whole rows: it is for what
needs all units at once, such as normalising. Equations are written once, with the arithmetic of
vectors, for both kinds of numbers and for every CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec

if TYPE_CHECKING:  # llvmlite is loaded where something is compiled
    from rnnscope.engines.compiled.vectors import Vector


class Units(Protocol):
    """Some units of one row at one step: what equations read and write."""

    def z(self, gate: str) -> Vector:
        """The pre-activation of a gate: the part of x, bias in it, plus that of the product.

        The second alone, in a product that is not `joined`.
        """

    def x(self, gate: str) -> Vector:
        """The part of x alone, of a product that is not `joined`."""

    def state(self, name: str) -> Vector:
        """A state or buffer as it is: before `put`, m of the step before."""

    def parameter(self, name: str) -> Vector:
        """One of the cell's own numbers, for these units."""

    def put(self, name: str, value: Vector) -> None:
        """Set a state, which is kept for this step, or a buffer."""

    def keep(self, **gates: Vector) -> None:
        """Gates after their activations, kept where they were asked for."""


class Row(Protocol):
    """All units of one row at one step."""

    def number(self, name: str) -> Vector:
        """One of the cell's own numbers that is the same for all units."""

    def total(self, term: Callable[[Units], Vector]) -> Vector:
        """The sum over all units, in every lane; the order does not depend on the CPU.

        Lanes past the last unit count: `term` has to be zero there.
        """

    def each(self, equations: Callable[[Units], None]) -> None:
        """Equations for all units, some at a time."""


@dataclass(frozen=True)
class Product:
    """A product of every step, and the equations that follow it.

    Attributes
    ----------
    gates : tuple of str
        The column blocks of its weights, in their order.
    equations : callable
    left : str
        ``"m"``, or a buffer.
    joined : bool
        Whether the part of x is added to the sums at once.
    output : bool
        Whether its blocks are as wide as m, and not as the cell has units.
    """

    gates: tuple[str, ...]
    equations: Callable[[Units], None]
    left: str = "m"
    joined: bool = True
    output: bool = False


@dataclass(frozen=True)
class Rows:
    """Equations that need all units of a row at once."""

    equations: Callable[[Row], None]


@dataclass(frozen=True)
class Weights:
    """The weights of one product, column blocks in the order of its gates.

    Attributes
    ----------
    matrix : ndarray (left, gates x width)
    kernel : ndarray (input, gates x width) or None
        Applied to x; None where the product has no part of x.
    bias : ndarray (gates x width,) or None
        Added to the part of x.
    """

    matrix: Array
    kernel: Array | None = None
    bias: Array | None = None


@dataclass(frozen=True)
class CompiledCell:
    """One entry of COMPILED_CELLS.

    Attributes
    ----------
    kind : str
        The cell of CELLS that it computes.
    variant : callable
        ``variant(spec)``: what the code of a cell is made for (activations, what it has), hashable
        and with a repr that tells all; None for a cell that is left to the reference.
    stages : callable
        ``stages(variant)``: what a step is.
    weights : callable
        ``weights(spec)``: those of each `Product`, in their order.
    parameters : callable
        ``parameters(spec)``: numbers of the cell by name, one for each unit or one for all. Names
        depend on the variant alone.
    buffers : callable
        ``buffers(variant)``: what stages hand on to later ones of the same step, (row, unit) each.
    """

    kind: str
    variant: Callable[[CellSpec], Hashable | None]
    stages: Callable[[Any], tuple[Product | Rows, ...]]
    weights: Callable[[CellSpec], Sequence[Weights]]
    parameters: Callable[[CellSpec], Mapping[str, Array | float]] = lambda _: {}
    buffers: Callable[[Any], tuple[str, ...]] = lambda _: ()
