"""Finding GRU cells: ``z * m_prev + (1 - z) * n``, with a reset gate inside n; and the fused op.

TensorFlow 1's GRUCell resets m before the product, ``act([x, r * m] @ candidate)``; Keras adds
``x @ kernel + r * (m @ recurrent_kernel + bias)``, or resets m first, by its ``reset_after``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import (
    FoundCell,
    Inputs,
    distinct,
    inputs_of,
    kernel_block,
    same_source,
)
from rnnscope.checkpoints.tf1.graph.cells.coupled_cells import Mix, read_mix
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ADDS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading, floats
from rnnscope.checkpoints.tf1.graph.nodes.linear_terms import Gate, Linear
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, Option
from rnnscope.model.cells.gru import GRU_GATE_ORDER, GRUOptions, GRUWeights


@dataclass(frozen=True)
class Candidate:
    """n of a GRU: its activation, its reset gate, and the two halves of its sum.

    Attributes
    ----------
    linear : Linear
        With ``reset_after`` the part of x alone, else the sum over x and ``r * m``.
    after : Linear or None
        With ``reset_after``: the part of m, bias included, that r multiplies.
    """

    activation: str
    r: Gate
    linear: Linear
    after: Linear | None = None


def find(reading: Reading) -> Iterator[FoundCell]:
    """Every step of a GRU, in single ops or fused."""
    for node in reading.view:
        cell = None
        if node.op in ADDS:
            mix = read_mix(reading, node)
            cell = None if mix is None else _read_gru(reading, node, mix)
        elif node.op == "GRUBlockCell":
            cell = _read_block(reading, node)
        if cell is not None:
            yield cell


def _read_gru(reading: Reading, node: GraphNode, mix: Mix) -> FoundCell | None:
    inputs = inputs_of(reading, mix.gate.linear)
    if inputs is None or not reading.same(inputs.m_prev, mix.old):
        return None
    candidate = _read_candidate(reading, mix, inputs)
    if candidate is None or mix.gate.activation != candidate.r.activation:
        return None
    z, r, n = mix.gate, candidate.r, candidate.linear
    order = tuple(
        sorted(
            GRU_GATE_ORDER,
            key=lambda gate: _place(reading, {"r": r.linear, "z": z.linear, "n": n}, gate),
        )
    )
    tensors = [*r.linear.tensors, *z.linear.tensors, *n.tensors]
    tensors += candidate.after.tensors if candidate.after else ()
    options = GRUOptions(
        activation=Option(candidate.activation, "graph"),
        recurrent_activation=Option(z.activation, "graph"),
        reset_after=Option(candidate.after is not None, "graph"),
    )
    return FoundCell(
        name=node.name,
        kind="gru",
        weights=tuple(dict.fromkeys(tensors)),
        gate_order=order,
        x=inputs.x,
        before={"m": inputs.m_prev},
        after={"m": GraphTensor(node.name)},
        make=lambda: (_weights(reading, r.linear, z.linear, candidate), options),
        split_inputs=not inputs.joined,
    )


def _place(reading: Reading, gates: dict[str, Linear], gate: str) -> tuple[bool, int]:
    """A gate's place in the file; TensorFlow 1 keeps the candidate in a kernel of its own."""
    kernel = gates[gate].products[0].kernel
    own = reading.names(kernel.tensor) != reading.names(gates["r"].products[0].kernel.tensor)
    return own, kernel.start


def _read_candidate(reading: Reading, mix: Mix, inputs: Inputs) -> Candidate | None:
    found = reading.activated(mix.new)
    linear = found.linear
    if linear.peephole or linear.constant:
        return None
    if not linear.others:
        reset = inputs_of(reading, linear)
        r = None if reset is None else _reset_gate(reading, mix, reset.m_prev, inputs.m_prev)
        if reset is None or r is None or not reading.same(reset.x, inputs.x):
            return None
        return Candidate(found.activation, r, linear)
    if len(linear.others) != 1 or len(linear.products) != 1:
        return None
    scaled = reading.node(linear.others[0])
    if scaled is None or scaled.op != "Mul":
        return None
    for factor, rest in (scaled.inputs, scaled.inputs[::-1]):
        r, after = reading.gate(factor), reading.linear(rest)
        if r is None or len(after.products) != 1 or after.others:
            continue
        of_m = reading.same(after.products[0].inputs[0], inputs.m_prev)
        if of_m and same_source(reading, r.linear, mix.gate.linear):
            return Candidate(found.activation, r, replace(linear, others=()), after)
    return None


def _reset_gate(
    reading: Reading, mix: Mix, tensor: GraphTensor, m_prev: GraphTensor
) -> Gate | None:
    """The gate r of ``r * m_prev``."""
    node = reading.node(tensor)
    if node is None or node.op != "Mul":
        return None
    for factor, m in (node.inputs, node.inputs[::-1]):
        r = reading.gate(factor)
        if r is None or not reading.same(m, m_prev):
            continue
        if same_source(reading, r.linear, mix.gate.linear) and distinct(
            reading, {"r": r, "z": mix.gate}
        ):
            return r
    return None


def _weights(reading: Reading, r: Linear, z: Linear, candidate: Candidate) -> GRUWeights:
    units = r.products[0].kernel.width
    blocks = [kernel_block(reading, gate, units) for gate in (r, z)]
    recurrent_bias = None
    if candidate.after is None:
        blocks.append(kernel_block(reading, candidate.linear, units))
    else:
        of_x, of_m = (
            reading.read(linear.products[0].kernel)
            for linear in (candidate.linear, candidate.after)
        )
        blocks.append((of_x, of_m))
        # The biases of r and z are one sum; the reset gate tells those of n apart.
        zeros = np.zeros(2 * units, of_m.dtype)
        recurrent_bias = np.concatenate([zeros, reading.bias(candidate.after, of_m)])
    biases = [
        reading.bias(gate, block[0])
        for gate, block in zip((r, z, candidate.linear), blocks, strict=True)
    ]
    return GRUWeights(
        np.ascontiguousarray(np.concatenate([block[0] for block in blocks], axis=1)),
        np.ascontiguousarray(np.concatenate([block[1] for block in blocks], axis=1)),
        np.concatenate(biases),
        recurrent_bias,
    )


def _read_block(reading: Reading, node: GraphNode) -> FoundCell | None:
    """The op of GRUBlockCell and GRUBlockCellV2: x, h_prev, w_ru, w_c, b_ru, b_c."""
    x, m_prev, *tensors = node.inputs
    if not reading.weights.variables(tensors[0]):
        return None

    def make() -> tuple[GRUWeights, GRUOptions]:
        gates, candidate, gate_bias, bias = (
            floats(reading.weights.read(tensor)) for tensor in tensors
        )
        whole = np.concatenate([gates, candidate], axis=1)
        rows = whole.shape[0] - candidate.shape[1]
        biases: Array = np.concatenate([gate_bias.reshape(-1), bias.reshape(-1)])
        weights = GRUWeights(
            np.ascontiguousarray(whole[:rows]), np.ascontiguousarray(whole[rows:]), biases
        )
        detail = "what the op GRUBlockCell computes"
        return weights, GRUOptions(
            activation=Option("tanh", "graph", detail),
            recurrent_activation=Option("sigmoid", "graph", detail),
            reset_after=Option(False, "graph", detail),
        )

    return FoundCell(
        name=node.name,
        kind="gru",
        weights=tuple(tensors),
        gate_order=GRU_GATE_ORDER,
        x=x,
        before={"m": m_prev},
        after={"m": GraphTensor(node.name, 3)},
        make=make,
        op=node.op,
    )
