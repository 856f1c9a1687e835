"""Finding simple recurrent cells: ``m = act(x @ kernel + m_prev @ recurrent_kernel + bias)``.

The same expression is a dense layer on two joined inputs, so that it counts as a cell only where
its result comes back as its own m_prev: through a loop, or from the step before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell, inputs_of, kernels
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import origins
from rnnscope.checkpoints.tf1.graph.nodes.expressions import ACTIVATION_OPS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading
from rnnscope.checkpoints.tf1.graph.nodes.linear_terms import Gate
from rnnscope.model.cell import Option
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights


def find(reading: Reading) -> Iterator[FoundCell]:
    """Every step of a BasicRNNCell or a Keras SimpleRNN."""
    by_kernel: dict[tuple[str, ...], list[FoundCell]] = defaultdict(list)
    for node in reading.view:
        if node.op not in ACTIVATION_OPS:
            continue
        gate = reading.gate(GraphTensor(node.name))
        cell = None if gate is None else _read(reading, node.name, gate)
        if cell is not None:
            by_kernel[reading.names(cell.kernel)].append(cell)
    for cells in by_kernel.values():
        yield from _fed_back(reading, cells)


def _read(reading: Reading, name: str, gate: Gate) -> FoundCell | None:
    inputs = inputs_of(reading, gate.linear)
    if inputs is None or gate.linear.peephole or gate.linear.constant:
        return None
    return FoundCell(
        name=name,
        kind="simple_rnn",
        weights=gate.linear.tensors,
        gate_order=(),
        x=inputs.x,
        before={"m": inputs.m_prev},
        after={"m": GraphTensor(name)},
        make=lambda: (
            SimpleRNNWeights(
                *kernels(reading, [gate.linear], gate.linear.products[0].kernel.width)
            ),
            SimpleRNNOptions(activation=Option(gate.activation, "graph")),
        ),
        split_inputs=not inputs.joined,
    )


def _fed_back(reading: Reading, cells: list[FoundCell]) -> list[FoundCell]:
    """The cells whose m another of them, or the cell itself, reads; in the order given."""
    makes = {cell.m: cell.name for cell in cells}
    kept: set[str] = set()
    for cell in cells:
        read = [makes[tensor] for tensor in origins(reading.view, cell.before["m"])[0]
                if tensor in makes]  # fmt: skip
        kept.update(read and [cell.name, *read])
    return [cell for cell in cells if cell.name in kept]
