"""Finding LayerNormBasicLSTMCell: an LSTM whose gates and c are normalised.

``contrib.layers.layer_norm`` ends in ``nn.batch_normalization``, in every TensorFlow 1 written as
``z * inv + (beta - mean * inv)`` with ``inv = rsqrt(variance + epsilon) * gamma``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import (
    FoundCell,
    Setting,
    distinct,
    inputs_of,
    kernels,
    same_source,
    stored_order,
)
from rnnscope.checkpoints.tf1.graph.cells.lstm_cells import read_products, stored_at
from rnnscope.checkpoints.tf1.graph.cells.outputs import outputs_of
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ADDS, peel
from rnnscope.checkpoints.tf1.graph.nodes.expressions import both_ways, forward, read_activation
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading, floats
from rnnscope.checkpoints.tf1.graph.nodes.linear_terms import Gate
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import GATE_ORDER, Array, Option
from rnnscope.model.cells.layer_norm_lstm import LayerNormLSTMOptions, LayerNormLSTMWeights


@dataclass(frozen=True)
class Norm:
    """A normalised tensor: what is normalised, scale, offset, and what is added to the variance."""

    source: GraphTensor
    gamma: GraphTensor
    beta: GraphTensor
    epsilon: Setting


@dataclass(frozen=True)
class NormGate:
    """``act(norm(linear) + constant)``; the constant stands in the gate's linear."""

    gate: Gate
    norm: Norm


def find(reading: Reading) -> Iterator[FoundCell]:
    """Every step of a LayerNormBasicLSTMCell."""
    for node in reading.view:
        cell = _read_sum_of_c(reading, node) if node.op in ADDS else None
        if cell is not None:
            yield cell


def _read_sum_of_c(reading: Reading, node: GraphNode) -> FoundCell | None:
    factors = read_products(reading, node)
    if factors is None:
        return None
    pairs = [[(factor, _gate(reading, factor)) for factor in pair] for pair in factors]
    pairs.sort(key=lambda pair: sum(gate is not None for _, gate in pair))
    (carried, written), view = pairs, reading.view
    forget = next((gate for _, gate in carried if gate is not None), None)
    c_prev = next((factor for factor, gate in carried if gate is None), None)
    pair = [gate for _, gate in written if gate is not None]
    state = _norm_after(reading, GraphTensor(node.name))
    if forget is None or c_prev is None or len(pair) != 2 or state is None:
        return None
    i, g = sorted(pair, key=lambda item: stored_at(item.gate))
    inputs = inputs_of(reading, forget.gate.linear)
    c, state_norm = state
    for output in outputs_of(view, c):
        o = _gate(reading, output.gate)
        if o is None or inputs is None or output.activation != g.gate.activation:
            continue
        found = {"i": i, "f": forget, "g": g, "o": o}
        gates = {key: item.gate for key, item in found.items()}
        norms = {key: item.norm for key, item in found.items()}
        alike = all(
            same_source(reading, forget.gate.linear, gate.linear) for gate in gates.values()
        )
        if not alike or not distinct(reading, gates):
            continue
        linear = forget.gate.linear
        options = LayerNormLSTMOptions(
            forget_bias=Setting(linear.constant, linear.constant_name).option(),
            activation=Option(g.gate.activation, "graph"),
            recurrent_activation=Option(forget.gate.activation, "graph"),
            epsilon=state_norm.epsilon.option(),
        )
        normed = [*norms.values(), state_norm]
        tensors = [
            *(tensor for gate in gates.values() for tensor in gate.linear.tensors),
            *(tensor for norm in normed for tensor in (norm.gamma, norm.beta)),
        ]
        return FoundCell(
            name=node.name,
            kind="layer_norm_lstm",
            weights=tuple(dict.fromkeys(tensors)),
            gate_order=stored_order(gates),
            x=inputs.x,
            before={"c": c_prev, "m": inputs.m_prev},
            after={"c": c, "m": output.m},
            make=partial(_made, reading, gates, norms, state_norm, options),
        )
    return None


def _gate(reading: Reading, tensor: GraphTensor) -> NormGate | None:
    activation, z = read_activation(reading.view, reading.undropped(tensor))
    constant, name = 0.0, ""
    norm = _read_norm(reading, z)
    if norm is None:
        node = reading.node(z)
        for rest, added in both_ways(node) if node is not None and node.op in ADDS else ():
            value = reading.view.scalar(added)
            if value is not None:
                norm, constant = _read_norm(reading, rest), value
                name = peel(reading.view, added).node
                break
    if norm is None:
        return None
    linear = reading.linear(norm.source)
    if not linear.products or linear.others or linear.constant:
        return None
    return NormGate(Gate(activation, replace(linear, constant=constant, constant_name=name)), norm)


def _read_norm(reading: Reading, tensor: GraphTensor) -> Norm | None:
    """``z * inv + (beta - mean * inv)``."""
    node = reading.node(tensor)
    if node is None or node.op not in ADDS:
        return None
    for scaled, shifted in both_ways(node):
        product, offset = reading.node(scaled), reading.node(shifted)
        if product is None or product.op != "Mul" or offset is None or offset.op != "Sub":
            continue
        for source, factor in both_ways(product):
            scale = _read_scale(reading, factor)
            if scale is not None and reading.weights.is_weight(offset.inputs[0]):
                source = peel(reading.view, source)  # noqa: PLW2901 - the same tensor, bare
                return Norm(source, scale[0], offset.inputs[0], scale[1])
    return None


def _read_scale(reading: Reading, tensor: GraphTensor) -> tuple[GraphTensor, Setting] | None:
    """``rsqrt(variance + epsilon) * gamma``: gamma and epsilon."""
    product = reading.node(tensor)
    if product is None or product.op != "Mul":
        return None
    for root, gamma in both_ways(product):
        rsqrt = reading.node(root)
        if rsqrt is None or rsqrt.op != "Rsqrt" or not reading.weights.is_weight(gamma):
            continue
        added = reading.node(rsqrt.inputs[0])
        for _, bound in both_ways(added) if added is not None and added.op in ADDS else ():
            epsilon = reading.view.scalar(bound)
            if epsilon is not None:
                return gamma, Setting(epsilon, peel(reading.view, bound).node)
    return None


def _norm_after(reading: Reading, tensor: GraphTensor) -> tuple[GraphTensor, Norm] | None:
    """The normalisation that consumes a tensor, and the tensor it makes."""
    for product in forward(reading.view, tensor):
        if product.op != "Mul":
            continue
        for consumer in forward(reading.view, GraphTensor(product.name)):
            norm = _read_norm(reading, GraphTensor(consumer.name))
            if norm is not None and norm.source == peel(reading.view, tensor):
                return GraphTensor(consumer.name), norm
    return None


def _made(
    reading: Reading,
    gates: Mapping[str, Gate],
    norms: Mapping[str, Norm],
    state: Norm,
    options: LayerNormLSTMOptions,
) -> tuple[LayerNormLSTMWeights, LayerNormLSTMOptions]:
    units = gates["i"].linear.products[0].kernel.width
    kernel, recurrent, _ = kernels(reading, [gates[gate].linear for gate in GATE_ORDER], units)

    def values(tensors: list[GraphTensor]) -> Array:
        read = [floats(reading.weights.read(tensor)).reshape(-1) for tensor in tensors]
        return np.concatenate(read)

    weights = LayerNormLSTMWeights(
        kernel=kernel,
        recurrent_kernel=recurrent,
        gamma=values([norms[gate].gamma for gate in GATE_ORDER]),
        beta=values([norms[gate].beta for gate in GATE_ORDER]),
        state_gamma=values([state.gamma]),
        state_beta=values([state.beta]),
    )
    return weights, options
