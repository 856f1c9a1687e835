"""In which order an unrolled layer takes its steps from a list."""

from __future__ import annotations

from collections.abc import Iterable

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import walk
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView


def reads_backward(view: GraphView, cells: Iterable[FoundCell]) -> bool:
    """Whether an unrolled layer takes its steps from a list in falling order."""
    steps = [_step_index(view, cell.x) for cell in cells]
    known = [step for step in steps if step is not None]
    return len(known) > 1 and len(known) == len(steps) and known == sorted(known, reverse=True)


def _step_index(view: GraphView, tensor: GraphTensor) -> int | None:
    """Which step of an unstacked list a tensor is."""
    for current, node in walk(view, tensor):
        if node is None:
            continue
        if node.op in ("Unpack", "Split", "SplitV"):
            return current.index
        if node.op == "StridedSlice":
            begin = view.constant(node.inputs[1])
            return None if begin is None or begin.size < 2 else int(begin.reshape(-1).max())
        if node.op in ("Squeeze", "Reshape", "ExpandDims"):
            return _step_index(view, node.inputs[0])
    return None
