"""What the steps of an unrolled layer return, where a wrapper stands between m and that.

A loop writes its outputs into a list, which tells them. The steps of static_rnn return plain
tensors; what a wrapper puts behind m lies in the name scope of the wrapper, inside that of the
loop, and nothing else does.
"""

from __future__ import annotations

import re
from dataclasses import replace

from rnnscope.checkpoints.tf1.graph.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.expressions import forward
from rnnscope.checkpoints.tf1.graph.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.weights import GraphWeights

CELLISH = re.compile(r"(multirnncell|cell\d*|\w*wrapper|\w*cell)(_?\d+)?")
"""A component of a name that a cell or a wrapper made, in lower case and without underscores."""

JOINS = {"Concat", "ConcatV2", "Pack"}
MAX_WRAPPER_OPS = 64


def with_returned(
    view: GraphView, weights: GraphWeights, cells: list[FoundCell]
) -> list[FoundCell]:
    """The steps of a layer, each with what it returns where that is not m."""
    kernels = {name for cell in cells for name in weights.variables(cell.kernel)}
    found = [_returned(view, weights, cell.m, kernels) for cell in cells]
    if any(tensor is None for tensor in found):
        return cells
    return [replace(cell, outputs=out) for cell, out in zip(cells, found, strict=True)]


def _returned(
    view: GraphView, weights: GraphWeights, m: GraphTensor, kernels: set[str]
) -> GraphTensor | None:
    """The one tensor at the end of what wrappers compute from m; None where there is none."""
    scope = wrapper_scope(m.node)
    if scope is None:
        return None
    ends: set[GraphTensor] = set()
    pending, seen = [m], {m}
    while pending:
        current = pending.pop()
        onward = [
            GraphTensor(node.name)
            for node in forward(view, current)
            if _wraps(weights, node, scope, kernels)
        ]
        if not onward and current != m:
            ends.add(current)
        for tensor in onward:
            if tensor not in seen:
                seen.add(tensor)
                pending.append(tensor)
        if len(seen) > MAX_WRAPPER_OPS:
            return None
    return next(iter(ends)) if len(ends) == 1 else None


def _wraps(weights: GraphWeights, node: GraphNode, scope: str, kernels: set[str]) -> bool:
    """Whether a node is a wrapper's: in its scope, and no part of a cell that reads m."""
    if not node.name.startswith(f"{scope}/") or node.op in JOINS:
        return False
    rest = node.name[len(scope) + 1 :].split("/")
    if len(rest) < 2 or not _is_cellish(rest[0]):
        return False
    return node.op != "MatMul" or kernels.isdisjoint(weights.variables(node.inputs[1]))


def wrapper_scope(name: str) -> str | None:
    """The scope in which the steps lie: what stands before the first cell or wrapper of a name."""
    parts = name.split("/")
    for place, part in enumerate(parts[:-1]):
        if _is_cellish(part):
            return "/".join(parts[:place]) or None
    return None


def _is_cellish(part: str) -> bool:
    return CELLISH.fullmatch(part.replace("_", "").lower()) is not None
