"""What the finders of cells return: one appearance of a cell in a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading
from rnnscope.checkpoints.tf1.graph.nodes.linear_terms import Gate, Linear
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, Option


@dataclass(frozen=True)
class Setting:
    """A value read from the graph, and the node it was read from."""

    value: float | None
    name: str = ""

    def option(self) -> Option[Any]:
        return Option(_short(self.value), "graph", self.name)


@dataclass(frozen=True, eq=False)
class FoundCell:
    """One appearance of a cell: one step of it, or a whole sequence where `op` is a fused one.

    Attributes
    ----------
    name : str
        The node where it was found.
    kind : str
        A key of CELLS.
    weights : tuple of GraphTensor
        Everything stored that the cell uses; the first names the layer.
    gate_order : tuple of str
        As stored.
    x : GraphTensor
    before, after : mapping of str to GraphTensor
        Each state as the step reads it, and as it leaves it: c clipped, m projected and clipped.
    make : callable
        ``make() -> (weights, options)`` of a `CellSpec`; reads the values.
    op : str
        The fused op, else ``""``.
    mask : GraphTensor or None
        What the outputs of a fused op are multiplied with past the length.
    outputs : GraphTensor or None
        The outputs after that; None where they are m.
    split_inputs : bool
        True where x and m have a kernel each, as in Keras.
    unsure : bool
        True for a step of an unrolled layer that may return one of several values.
    """

    name: str
    kind: str
    weights: tuple[GraphTensor, ...]
    gate_order: tuple[str, ...]
    x: GraphTensor
    before: Mapping[str, GraphTensor]
    after: Mapping[str, GraphTensor]
    make: Callable[[], tuple[Any, Any]]
    op: str = ""
    mask: GraphTensor | None = None
    outputs: GraphTensor | None = None
    split_inputs: bool = False
    unsure: bool = False

    @property
    def kernel(self) -> GraphTensor:
        return self.weights[0]

    @property
    def m(self) -> GraphTensor:
        return self.after["m"]


@dataclass(frozen=True)
class Inputs:
    """What a gate is a product of: x and the previous m, joined or in two products."""

    x: GraphTensor
    m_prev: GraphTensor
    joined: bool


def inputs_of(reading: Reading, linear: Linear) -> Inputs | None:
    """What of a sum is x and what is m; None if it is a product of other things."""
    products = linear.products
    if len(products) == 1 and len(products[0].inputs) == 2:
        return Inputs(*products[0].inputs, joined=True)
    if len(products) == 2 and all(len(product.inputs) == 1 for product in products):
        # Keras adds the part of x first, and calls the other kernel by its name.
        names = reading.names(products[0].kernel.tensor)
        first, second = (products[1], products[0]) if _recurrent(names) else products
        return Inputs(first.inputs[0], second.inputs[0], joined=False)
    return None


def _recurrent(names: tuple[str, ...]) -> bool:
    return any("recurrent_kernel" in name for name in names)


def same_source(reading: Reading, a: Linear, b: Linear) -> bool:
    """Whether two gates are products of the same inputs."""
    one, other = inputs_of(reading, a), inputs_of(reading, b)
    return (
        one is not None
        and other is not None
        and one.joined == other.joined
        and reading.same(one.x, other.x)
        and reading.same(one.m_prev, other.m_prev)
    )


def stored_order(gates: Mapping[str, Gate]) -> tuple[str, ...]:
    """The gates in the order of their columns in the stored kernel; as given where they tie."""
    return tuple(sorted(gates, key=lambda gate: gates[gate].linear.products[0].kernel.start))


def distinct(reading: Reading, gates: Mapping[str, Gate]) -> bool:
    """Whether no two gates use the same columns of the same weight."""
    parts = {
        (reading.names(part.tensor), part.start)
        for gate in gates.values()
        for part in (gate.linear.products[0].kernel,)
    }
    return len(parts) == len(gates)


def kernels(reading: Reading, gates: list[Linear], output: int) -> tuple[Array, Array, Array]:
    """Kernel, recurrent kernel and bias of some gates, side by side in the order given.

    Parameters
    ----------
    reading : Reading
    gates : list of Linear
        Sums of x and m, as `inputs_of` understands them.
    output : int
        Width of m: the rows of the recurrent kernel.
    """
    blocks = [kernel_block(reading, gate, output) for gate in gates]
    biases = [reading.bias(gate, block[0]) for gate, block in zip(gates, blocks, strict=True)]
    return (
        np.ascontiguousarray(np.concatenate([block[0] for block in blocks], axis=1)),
        np.ascontiguousarray(np.concatenate([block[1] for block in blocks], axis=1)),
        np.concatenate(biases),
    )


def kernel_block(reading: Reading, gate: Linear, output: int) -> tuple[Array, Array]:
    """One gate's rows for x and for m."""
    if len(gate.products) == 1:
        whole = reading.read(gate.products[0].kernel)
        rows = whole.shape[0] - output
        return whole[:rows], whole[rows:]
    first, second = gate.products
    if _recurrent(reading.names(first.kernel.tensor)):
        first, second = second, first
    return reading.read(first.kernel), reading.read(second.kernel)


def _short(value: float | None) -> float | None:
    """A float32 constant as it was written: 0.3, not 0.30000001192092896.

    Exact for float32 cells. A float64 graph holds float64 constants, whose shortest form as
    float32 differs, and which are kept as they are.
    """
    if value is None:
        return None
    short = float(str(np.float32(value)))
    return short if np.float32(short) == value else value
