"""FINDERS: every family of cells that is recognised in a graph. Adding one is a file and a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rnnscope.checkpoints.tf1.graph.cells import (
    block_ops,
    coupled_cells,
    cudnn_ops,
    gru_cells,
    layer_norm_cells,
    lstm_cells,
    simple_cells,
)
from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.cells.names import unbuilt_class
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ADDS, peel
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights

Finder = Callable[[Reading], Iterator[FoundCell]]

FINDERS: tuple[Finder, ...] = (
    lstm_cells.find,
    block_ops.find,
    gru_cells.find,
    coupled_cells.find,
    layer_norm_cells.find,
    simple_cells.find,
    cudnn_ops.find,
)
"""None of them claims a cell of another: each asks for the whole equation of its own."""


def find_cells(view: GraphView, weights: GraphWeights) -> Iterator[FoundCell]:
    """Every appearance of a cell, in the order of the graph's nodes."""
    cudnn_ops.lay_open(view, weights)
    reading = Reading(view, weights)
    place = {node.name: position for position, node in enumerate(view)}
    found = [cell for finder in FINDERS for cell in finder(reading)]
    yield from sorted(found, key=lambda cell: place[cell.name])


def find_suspects(view: GraphView, weights: GraphWeights, known: set[str]) -> dict[str, str]:
    """Kernels that look like a cell's but were not understood: variable name to why."""
    suspects = {
        name: f"{unbuilt} is a cell that rnnscope does not compute"
        for name in weights.names
        # A slot of an optimizer is named after its variable, with one more part.
        if (unbuilt := unbuilt_class(name)) and name.rpartition("/")[0] not in weights.names
    }
    for node in view:
        for kernel, what in _gated(view, weights, node):
            if kernel not in known:
                suspects.setdefault(kernel, what)
    return suspects


def _gated(view: GraphView, weights: GraphWeights, node: GraphNode) -> Iterator[tuple[str, str]]:
    """The kernel of a product of joined inputs that is split into gates, or of a fused op."""
    if node.op.startswith("CudnnRNN"):
        for name in weights.variables(node.inputs[-1]) or weights.variables(node.inputs[3]):
            yield (
                name,
                (
                    f"opaque cuDNN parameters of op {node.op} ('{node.name}'), whose layout "
                    "only cuDNN knows; CudnnLSTM's own Saver stores them in canonical form"
                ),
            )
        return
    if node.op != "Split" or not 2 <= node.integer("num_split") <= 8:
        return
    product = view.node(peel(view, node.inputs[1]))
    if product is not None and (product.op == "BiasAdd" or product.op in ADDS):
        product = next(
            (
                inner
                for part in product.inputs
                if (inner := view.node(peel(view, part))) is not None and inner.op == "MatMul"
            ),
            None,
        )
    if product is None or product.op != "MatMul":
        return
    joined = view.node(peel(view, product.inputs[0]))
    if joined is None or joined.op not in ("Concat", "ConcatV2"):
        return
    cell = "LSTM" if node.integer("num_split") == 4 else "cell"
    for name in weights.variables(product.inputs[1]):
        yield (
            name,
            (
                f"[x, m] @ {name} is split into {node.integer('num_split')} gates at node "
                f"'{node.name}', but what follows is no {cell} that rnnscope knows"
            ),
        )
