"""What the steps of an unrolled layer return, where a wrapper stands between m and that.

A loop writes its outputs into a list, which tells them. The steps of static_rnn return plain
tensors; what a wrapper puts behind m lies in the name scope of the wrapper, inside that of the
loop, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import peel
from rnnscope.checkpoints.tf1.graph.nodes.expressions import forward
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import (
    BRANCHES,
    GraphNode,
    GraphTensor,
    GraphView,
)
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.deferred_dataclass import dataclass

STOPS = {"Concat", "ConcatV2", "Pack", "Switch", "Merge", "Select", "SelectV2", "If", "StatelessIf"}
"""Ops that join steps, or that keep the padding; no wrapper of a cell uses them."""

COPIES = {"Select", "SelectV2", "Merge", "Identity"}
"""Ops between a step's new state and what the next step reads, where lengths are given."""

MAX_WRAPPER_OPS = 64
MOST_OPS_ON_THE_WAY = 400
MOST_NUMBERS = 8


def with_returned(
    view: GraphView, weights: GraphWeights, cells: list[FoundCell]
) -> list[FoundCell]:
    """The steps of a layer, each with what it returns where that is not m."""
    kernels = {name for cell in cells for name in weights.variables(cell.kernel)}
    scope = loop_scope(weights, cells[0])
    if not scope:
        return cells
    read = frozenset(tensor for cell in cells for tensor in cell.before.values())
    found = [_returned(view, weights, cell.m, scope, kernels, read) for cell in cells]
    if any(len(ends) > 1 for ends in found):
        return [replace(cell, unsure=True) for cell in cells]
    if any(not ends for ends in found):
        return cells
    return [
        replace(cell, outputs=next(iter(ends))) for cell, ends in zip(cells, found, strict=True)
    ]


def _returned(
    view: GraphView,
    weights: GraphWeights,
    m: GraphTensor,
    scope: str,
    kernels: set[str],
    read: frozenset[GraphTensor],
) -> set[GraphTensor]:
    """The tensors at the end of what wrappers compute from m; none where there are no wrappers."""
    ends: set[GraphTensor] = set()
    pending, seen = [m], {m}
    while pending:
        current = pending.pop()
        onward = [
            GraphTensor(node.name)
            for node in forward(view, current)
            if _wraps(weights, node, scope, kernels)
        ]
        if current != m and (not onward or current in read):
            ends.add(current)
            onward = []  # what the next step makes of it is its own affair
        for tensor in onward:
            if tensor not in seen:
                seen.add(tensor)
                pending.append(tensor)
        if len(seen) > MAX_WRAPPER_OPS:
            return seen
    return ends


def _wraps(weights: GraphWeights, node: GraphNode, scope: str, kernels: set[str]) -> bool:
    """Whether a node is a wrapper's: in the loop's scope, and no part of a cell that reads m."""
    if not node.name.startswith(f"{scope}/") or node.op in STOPS:
        return False
    return node.op != "MatMul" or kernels.isdisjoint(weights.variables(node.inputs[1]))


def copied_through(view: GraphView, tensor: GraphTensor) -> GraphTensor:
    """What a step's new state is once the padding is kept: behind every Select and conditional.

    The next step reads that; behind the last step nothing else tells it.
    """
    callers = _results(view)
    ends, pending, seen = set[GraphTensor](), [tensor], {tensor}
    while pending:
        current = pending.pop()
        onward = list(callers.get(current, ()))
        for node in view.consumers(current):
            if node.op == "Switch" and node.inputs[0] == current:
                onward += [GraphTensor(node.name, side) for side in (0, 1)]
            elif node.op in COPIES and current in node.inputs[-2:]:
                onward.append(GraphTensor(node.name))
        if not onward and not _is_switched(view, current):
            ends.add(current)
        for one in onward:
            if one not in seen:
                seen.add(one)
                pending.append(one)
    return next(iter(ends)) if len(ends) == 1 else tensor


def handed_on_like(
    view: GraphView, after: GraphTensor, before: GraphTensor, last: GraphTensor
) -> GraphTensor | None:
    """What is made of `last` as `before`, which the next step reads, is made of `after`.

    The way from one to the other is found in an earlier step, and taken again: the same ops, at
    the same inputs. None where it cannot be.
    """
    way = _way_back(view, before, after)
    if way is None:
        return None
    callers = _results(view)
    found = _follow(view, callers, last, way)
    while found is None and way and way[-1].op in ("Switch", "_Arg"):
        # The conditional of the next step, which there is none of.
        way = way[:-1]
        found = _follow(view, callers, last, way)
    return found


def _follow(
    view: GraphView,
    callers: dict[GraphTensor, list[GraphTensor]],
    tensor: GraphTensor,
    way: list[Hop],
) -> GraphTensor | None:
    """The end of a way that begins at a tensor; of several, the first that can be gone."""
    if not way:
        return tensor
    hop, *rest = way
    onward = [
        GraphTensor(node.name, hop.index)
        for node in view.consumers(tensor)
        if node.op == hop.op
        and hop.place < len(node.inputs)
        and node.inputs[hop.place] == tensor
        and _others(view, node, hop.place) == hop.others
    ]
    if hop.op in BRANCHES:
        onward = [one for one in callers.get(tensor, ()) if one.index == hop.index]
    for one in onward:
        end = _follow(view, callers, one, rest)
        if end is not None:
            return end
    return None


@dataclass(frozen=True)
class Hop:
    """One op on the way of a state: its input, its output, and what its other inputs are."""

    op: str
    place: int
    index: int
    others: tuple[str, ...]


def _others(view: GraphView, node: GraphNode, place: int) -> tuple[str, ...]:
    """The ops behind a node's other inputs: an output's padding is zeros, a state's the state."""
    behind = (peel(view, one) for at, one in enumerate(node.inputs) if at != place)
    return tuple(_kind(view, one) for one in behind)


def _kind(view: GraphView, tensor: GraphTensor) -> str:
    """The op of a tensor; of a small constant its value, too: slices of one state differ in it."""
    value = view.constant(tensor) if view.op(tensor) == "Const" else None
    if value is not None and value.size <= MOST_NUMBERS:
        return f"Const {value.tolist()}"
    return view.op(tensor)


def _way_back(view: GraphView, tensor: GraphTensor, origin: GraphTensor) -> list[Hop] | None:
    """The shortest way from `origin` on to `tensor`: op, place among its inputs, output."""
    reached: dict[GraphTensor, tuple[GraphTensor, Hop] | None] = {tensor: None}
    pending = [tensor]
    while pending and origin not in reached and len(reached) < MOST_OPS_ON_THE_WAY:
        current = pending.pop(0)
        node = view.node(current)
        sources = () if node is None else view.results(current) or node.inputs
        for place, source in enumerate(sources):
            if source not in reached and node is not None:
                others = () if node.op in BRANCHES else _others(view, node, place)
                reached[source] = (current, Hop(node.op, place, current.index, others))
                pending.append(source)
    if origin not in reached:
        return None
    way = []
    hop = reached[origin]
    while hop is not None:
        way.append(hop[1])
        hop = reached[hop[0]]
    return way


def _is_switched(view: GraphView, tensor: GraphTensor) -> bool:
    """Whether a tensor is a side of a Switch that nothing reads."""
    node = view.node(tensor)
    return node is not None and node.op == "Switch"


def _results(view: GraphView) -> dict[GraphTensor, list[GraphTensor]]:
    """By what a branch returns, the outputs of the conditional."""
    found: dict[GraphTensor, list[GraphTensor]] = {}
    for node in view:
        if node.op in BRANCHES:
            for index in range(MAX_WRAPPER_OPS):
                results = view.results(GraphTensor(node.name, index))
                if not results:
                    break
                for result in results:
                    found.setdefault(result, []).append(GraphTensor(node.name, index))
    return found


def loop_scope(weights: GraphWeights, cell: FoundCell) -> str:
    """The name scope of an unrolled loop; empty for steps that lie in none.

    The ops of a step and the variables of its cell end in the same scopes, those of wrappers and
    cell; what stands before these in the name of an op is the loop's.
    """
    names = weights.variables(cell.kernel)
    if not names:
        return ""
    ops, variables = cell.m.node.split("/")[:-1], names[0].split("/")[:-1]
    shared = 0
    while shared < min(len(ops), len(variables) - 1) and ops[-1 - shared] == variables[-1 - shared]:
        shared += 1
    return "/".join(ops[: len(ops) - shared]) if shared else ""


def reaches(
    view: GraphView, tensor: GraphTensor, origin: GraphTensor, stops: Iterable[GraphTensor]
) -> bool:
    """Whether a tensor is made of another by a way that does not pass what stops it."""
    origin, closed = peel(view, origin), {peel(view, one) for one in stops}
    pending, seen = [tensor], {tensor}
    while pending and len(seen) < MOST_OPS_ON_THE_WAY:
        current = peel(view, pending.pop())
        if current == origin:
            return True
        node = view.node(current)
        if node is None or current in closed:
            continue
        for one in view.results(current) or node.inputs:
            if one not in seen:
                seen.add(one)
                pending.append(one)
    return False


def handed_over(view: GraphView, tensor: GraphTensor) -> bool:
    """Whether a state comes, unchanged, from where static_rnn keeps the padding of a step."""
    node = view.node(peel(view, tensor))
    return node is not None and node.op in {"Merge", "Select", "SelectV2", *BRANCHES}
