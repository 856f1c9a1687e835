"""Finding cells that mix old and new by one gate: ``a * old + (1 - a) * new``.

Where new is a gate of the same x and m, this is the c of a coupled LSTM; where new has a reset
gate in it, it is the m of a GRU (`gru_cells`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from rnnscope.checkpoints.tf1.graph.cells.appearance import (
    FoundCell,
    Setting,
    distinct,
    inputs_of,
    same_source,
    stored_order,
)
from rnnscope.checkpoints.tf1.graph.cells.lstm_cells import (
    forget_bias,
    read_products,
    stored_arrays,
    stored_tensors,
)
from rnnscope.checkpoints.tf1.graph.cells.outputs import Projection, outputs_of, projection_of
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ADDS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading
from rnnscope.checkpoints.tf1.graph.nodes.linear_terms import Gate
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Option
from rnnscope.model.cells.coupled_lstm import (
    COUPLED_GATE_ORDER,
    CoupledLSTMOptions,
    CoupledLSTMWeights,
)


@dataclass(frozen=True)
class Mix:
    """``gate * old + (1 - gate) * new``."""

    gate: Gate
    old: GraphTensor
    new: GraphTensor


def read_mix(reading: Reading, node: GraphNode) -> Mix | None:
    """A sum of the two products of a gate and of one minus that gate."""
    factors = read_products(reading, node)
    if factors is None:
        return None
    for kept, written in (factors, factors[::-1]):
        for left, new in (written, written[::-1]):
            complement = reading.node(left)
            if complement is None or complement.op != "Sub":
                continue
            if reading.view.scalar(complement.inputs[0]) != 1.0:
                continue
            for factor, old in (kept, kept[::-1]):
                gate = reading.gate(factor)
                if gate is not None and reading.same(factor, complement.inputs[1]):
                    return Mix(gate, old, new)
    return None


def find(reading: Reading) -> Iterator[FoundCell]:
    """Every step of a CoupledInputForgetGateLSTMCell."""
    for node in reading.view:
        mix = read_mix(reading, node) if node.op in ADDS else None
        cell = None if mix is None else _read_coupled(reading, node, mix)
        if cell is not None:
            yield cell


def _read_coupled(reading: Reading, node: GraphNode, mix: Mix) -> FoundCell | None:
    forget, candidate = mix.gate, reading.gate(mix.new)
    inputs = inputs_of(reading, forget.linear)
    if candidate is None or inputs is None:
        return None
    if not same_source(reading, forget.linear, candidate.linear):
        return None
    c = GraphTensor(node.name)
    for output in outputs_of(reading.view, c):
        o = reading.gate(output.gate)
        if o is None or output.activation != candidate.activation:
            continue
        gates = {"f": forget, "g": candidate, "o": o}
        if not same_source(reading, forget.linear, o.linear) or not distinct(reading, gates):
            continue
        recurrent = forget.linear.products[-1].kernel.tensor
        projected = projection_of(reading, output.m, inputs.m_prev, recurrent)
        diagonals = {key: gate.linear.peephole for key, gate in gates.items()}
        peepholes = {key: tensor for key, tensor in diagonals.items() if tensor is not None}
        options = CoupledLSTMOptions(
            forget_bias=forget_bias(forget),
            activation=Option(candidate.activation, "graph"),
            recurrent_activation=Option(forget.activation, "graph"),
            proj_clip=(Setting(None) if projected is None else projected.clip).option(),
        )
        return FoundCell(
            name=node.name,
            kind="coupled_lstm",
            weights=stored_tensors(gates, peepholes, projected),
            gate_order=stored_order(gates),
            x=inputs.x,
            before={"c": mix.old, "m": inputs.m_prev},
            after={"c": c, "m": output.m if projected is None else projected.m},
            make=partial(_made, reading, gates, peepholes, projected, options),
        )
    return None


def _made(
    reading: Reading,
    gates: dict[str, Gate],
    peepholes: dict[str, GraphTensor],
    projected: Projection | None,
    options: CoupledLSTMOptions,
) -> tuple[CoupledLSTMWeights, CoupledLSTMOptions]:
    arrays: dict[str, Any] = stored_arrays(reading, gates, COUPLED_GATE_ORDER, peepholes, projected)
    return CoupledLSTMWeights(**arrays), options
