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
    view: GraphView, weights: GraphWeights, cells: Iterable[FoundCell]
) -> list[FoundCell]:
    """The cells of a graph but those before a loop of the same weights that nothing reads.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    cells : iterable of FoundCell
    """
    every = list(cells)
    by_kernel = defaultdict[tuple[str, ...], list[FoundCell]](list)
    for cell in every:
        by_kernel[weights.variables(cell.kernel)].append(cell)
    if all(len(same) < 2 for same in by_kernel.values()):
        return every
    loops = Loops(view)
    before_loops: list[FoundCell] = []
    for same in by_kernel.values():
        outside = [cell for cell in same if loops.around(cell.m) is None]
        if len(outside) < len(same):
            before_loops += outside
    states = {state for cell in before_loops for state in cell.after.values()}
    probes = {id(cell) for cell in before_loops if _ends_in(view, cell, states)}
    return [cell for cell in every if id(cell) not in probes]


def _ends_in(view: GraphView, cell: FoundCell, states: set[GraphTensor]) -> bool:
    """Whether all that is made of a cell's states by value are some states that nothing reads."""
    pending = list(cell.after.values())
    seen = set(pending)
    while pending and len(seen) < MOST_NODES:
        current = pending.pop()
        consumers = [one for one in view.consumers(current) if one.op not in VALUELESS]
        if not consumers and current not in states and not _is_read_beside(view, current):
            return False
        made = [GraphTensor(one.name, index) for one in consumers for index in range(MOST_OUTPUTS)]
        for tensor in made:
            if tensor not in seen and (tensor.index == 0 or view.consumers(tensor)):
                seen.add(tensor)
                pending.append(tensor)
    return not pending


def _is_read_beside(view: GraphView, tensor: GraphTensor) -> bool:
    """Whether another output of the same node is read, or this one for its shape."""
    return bool(view.consumers(tensor)) or any(
        view.consumers(GraphTensor(tensor.node, index)) for index in range(MOST_OUTPUTS)
    )
