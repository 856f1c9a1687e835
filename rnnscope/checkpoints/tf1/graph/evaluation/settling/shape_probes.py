"""Steps that a graph computes for no more than a shape: they are no layers.

`tf.keras.backend.rnn` of TensorFlow 1 calls the cell once before its loop, to learn the shapes and
types of what it returns; nothing reads the values. The weights are those of the loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import Loops
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import VALUELESS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights

MOST_NODES = 500
"""Behind a step, that are looked at: more than a stack of cells has."""

MOST_OUTPUTS = 8
"""Of a node, that are looked at."""


def without_shape_probes(
    view: GraphView, weights: GraphWeights, cells: Iterable[FoundCell], loops: Loops
) -> list[FoundCell]:
    """The cells of a graph but those before a loop of the same weights that nothing reads.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    cells : iterable of FoundCell
    loops : Loops
        Of `view`.
    """
    every = list(cells)
    by_kernel = defaultdict[tuple[str, ...], list[FoundCell]](list)
    for cell in every:
        by_kernel[weights.variables(cell.kernel)].append(cell)
    before_loops: list[FoundCell] = []
    for same in by_kernel.values():
        outside = [cell for cell in same if loops.around(cell.m) is None]
        if len(outside) < len(same):
            before_loops += outside
    states = {state.node for cell in before_loops for state in cell.after.values()}
    probes = {id(cell) for cell in before_loops if _ends_in(view, cell, states)}
    return [cell for cell in every if id(cell) not in probes]


def _ends_in(view: GraphView, cell: FoundCell, states: set[str]) -> bool:
    """Whether all that is made of a cell's states by value ends in nodes that make such states."""
    pending = [tensor.node for tensor in cell.after.values()]
    seen = set(pending)
    while pending and len(seen) < MOST_NODES:
        node = pending.pop()
        readers = [reader for index in range(MOST_OUTPUTS)
                   for reader in view.consumers(GraphTensor(node, index))]  # fmt: skip
        if not readers and node not in states:
            return False
        new = {one.name for one in readers if one.op not in VALUELESS} - seen
        seen |= new
        pending.extend(new)
    return not pending
