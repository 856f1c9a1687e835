"""Finding LSTM cells in a graph by what they compute, not by what their nodes are called.

A cell that is written in single ops (BasicLSTMCell, LSTMCell, the LSTM of tf.keras) is found at
the sum that makes c, ``f * c_prev + i * g``, three of whose factors are gates of one x and m.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from rnnscope.checkpoints.tf1.graph.cells.appearance import (
    FoundCell,
    Setting,
    distinct,
    inputs_of,
    kernels,
    same_source,
    stored_order,
)
from rnnscope.checkpoints.tf1.graph.cells.outputs import (
    Projection,
    clipped,
    outputs_of,
    projection_of,
)
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ADDS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading, floats
from rnnscope.checkpoints.tf1.graph.nodes.linear_terms import Gate
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import GATE_ORDER, Array, LSTMOptions, LSTMWeights, Option


@dataclass(frozen=True)
class CarriedAndWritten:
    """``forget * c_prev + first * second``: three gates and what is carried."""

    forget: Gate
    c_prev: GraphTensor
    first: Gate
    second: Gate


def find(reading: Reading) -> Iterator[FoundCell]:
    """Every step of an LSTM that the graph computes in single ops."""
    for node in reading.view:
        if node.op in ADDS:
            cell = _read_sum_of_c(reading, node)
            if cell is not None:
                yield cell


def read_products(reading: Reading, node: GraphNode) -> list[tuple[GraphTensor, ...]] | None:
    """The factors of both products that a sum adds; None if it adds anything else."""
    products = [reading.node(tensor) for tensor in node.inputs[:2]]
    factors = [product.inputs for product in products if product and product.op == "Mul"]
    return factors if len(factors) == 2 else None


def read_carried(reading: Reading, node: GraphNode) -> CarriedAndWritten | None:
    """``f * c_prev + i * g`` taken apart."""
    factors = read_products(reading, node)
    if factors is None:
        return None
    pairs = [[(factor, reading.gate(factor)) for factor in pair] for pair in factors]
    pairs.sort(key=lambda pair: sum(gate is not None for _, gate in pair))
    carried, written = pairs
    forget = next((gate for _, gate in carried if gate is not None), None)
    c_prev = next((factor for factor, gate in carried if gate is None), None)
    first, second = (gate for _, gate in written)
    if forget is None or c_prev is None or first is None or second is None:
        return None
    return CarriedAndWritten(forget, c_prev, first, second)


def input_and_candidate(read: CarriedAndWritten) -> tuple[Gate, Gate]:
    """Which of the two gates that write into c is i, and which is g."""
    pair = sorted((read.first, read.second), key=stored_at)
    # Every framework stores i before g; only a differing activation could say otherwise.
    i, g = pair
    if i.activation != read.forget.activation and g.activation == read.forget.activation:
        i, g = g, i
    return i, g


def stored_at(gate: Gate) -> int:
    """The first column of a gate in the stored kernel."""
    return gate.linear.products[0].kernel.start


def _read_sum_of_c(reading: Reading, node: GraphNode) -> FoundCell | None:
    read = read_carried(reading, node)
    if read is None:
        return None
    i, g = input_and_candidate(read)
    inputs = inputs_of(reading, read.forget.linear)
    if inputs is None or any(
        not same_source(reading, read.forget.linear, gate.linear) for gate in (i, g)
    ):
        return None
    c, cell_clip = clipped(reading.view, GraphTensor(node.name))
    for output in outputs_of(reading.view, c):
        o = reading.gate(output.gate)
        if o is None or not same_source(reading, read.forget.linear, o.linear):
            continue
        gates = {"i": i, "f": read.forget, "g": g, "o": o}
        if not distinct(reading, gates):
            continue
        recurrent = read.forget.linear.products[-1].kernel.tensor
        projected = projection_of(reading, output.m, inputs.m_prev, recurrent)
        diagonals = {key: gate.linear.peephole for key, gate in gates.items()}
        peepholes = {key: tensor for key, tensor in diagonals.items() if tensor is not None}
        options = LSTMOptions(
            forget_bias=forget_bias(read.forget),
            activation=Option(g.activation, "graph"),
            recurrent_activation=Option(read.forget.activation, "graph"),
            output_activation=Option(output.activation, "graph"),
            cell_clip=cell_clip.option(),
            proj_clip=(Setting(None) if projected is None else projected.clip).option(),
        )
        return FoundCell(
            name=node.name,
            kind="lstm",
            weights=stored_tensors(gates, peepholes, projected),
            gate_order=stored_order(gates),
            x=inputs.x,
            before={"c": read.c_prev, "m": inputs.m_prev},
            after={"c": c, "m": output.m if projected is None else projected.m},
            make=partial(_made, reading, gates, peepholes, projected, options),
            split_inputs=not inputs.joined,
        )
    return None


def forget_bias(forget: Gate) -> Option[Any]:
    """What the graph adds to the forget gate; 0 where it adds nothing."""
    linear = forget.linear
    return Setting(linear.constant or 0.0, linear.constant_name).option()


def stored_tensors(
    gates: dict[str, Gate], peepholes: dict[str, GraphTensor], projected: Projection | None
) -> tuple[GraphTensor, ...]:
    """Every weight of a cell, kernels first."""
    linears = [gate.linear for gate in gates.values()]
    kernel = [product.kernel.tensor for linear in linears for product in linear.products]
    bias = [part.tensor for linear in linears for part in linear.biases]
    projection = () if projected is None else (projected.kernel,)
    return tuple(dict.fromkeys([*kernel, *bias, *peepholes.values(), *projection]))


def read_projection(reading: Reading, projected: Projection | None) -> Array | None:
    """The values of a projection (num_units, num_proj)."""
    return None if projected is None else floats(reading.weights.read(projected.kernel))


def stored_arrays(
    reading: Reading,
    gates: Mapping[str, Gate],
    order: Sequence[str],
    peepholes: Mapping[str, GraphTensor],
    projected: Projection | None,
) -> dict[str, Array | None]:
    """The stored weights of a cell, by their names in `LSTMWeights`, gate blocks in this order."""
    projection = read_projection(reading, projected)
    units = gates[order[0]].linear.products[0].kernel.width
    kernel, recurrent, bias = kernels(
        reading,
        [gates[gate].linear for gate in order],
        units if projection is None else projection.shape[1],
    )
    diagonals = {
        f"peephole_{gate}": floats(reading.weights.read(tensor)).reshape(-1)
        for gate, tensor in peepholes.items()
    }
    return {
        "kernel": kernel,
        "recurrent_kernel": recurrent,
        "bias": bias,
        "projection": projection,
        **diagonals,
    }


def _made(
    reading: Reading,
    gates: dict[str, Gate],
    peepholes: dict[str, GraphTensor],
    projected: Projection | None,
    options: LSTMOptions,
) -> tuple[LSTMWeights, LSTMOptions]:
    arrays: dict[str, Any] = stored_arrays(reading, gates, GATE_ORDER, peepholes, projected)
    return LSTMWeights(**arrays), options
