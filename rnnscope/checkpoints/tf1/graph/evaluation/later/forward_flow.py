"""Following values forward through a graph, into and out of functions, but into no loop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ENTERS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import (
    BRANCHES,
    CALLS,
    LOOPS,
    GraphNode,
    GraphTensor,
    GraphView,
)

MOST_OUTPUTS = 8
"""Outputs of one op that are looked at."""

ALIASES = {"Identity", "_Arg", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape",
           *CALLS}  # fmt: skip
"""Ops whose outputs are their inputs."""


_BRANCHES = frozenset(key for keys in BRANCHES.values() for key in keys)

_ENTERING = {*ENTERS, *LOOPS, "_LoopVariable", *CALLS}
"""Ops that take values into loops; what a function is called with arrives at its `_Arg` nodes."""


class ForwardFlow:
    """What is made of a tensor, in one op.

    Parameters
    ----------
    view : GraphView
    """

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._returned: dict[GraphTensor, list[GraphTensor]] = defaultdict(list)
        for node in view:
            if node.op in CALLS:
                for index in range(MOST_OUTPUTS):
                    called = GraphTensor(node.name, index)
                    for inner in view.results(called):
                        self._returned[inner].append(called)

    def onward(self, tensor: GraphTensor) -> Iterator[GraphTensor]:
        """The tensors that a tensor is an input of, outside of loops that it enters."""
        yield from self._returned.get(tensor, ())
        for node in self._view.consumers(tensor):
            if node.op not in _ENTERING and not _is_in_branch(node):
                yield from self.outputs(node)

    def outputs(self, node: GraphNode) -> Iterator[GraphTensor]:
        """The outputs of an op that something reads, and the first."""
        yield GraphTensor(node.name)
        for index in range(1, MOST_OUTPUTS):
            if self._view.consumers(GraphTensor(node.name, index)):
                yield GraphTensor(node.name, index)

    def maker(self, tensor: GraphTensor) -> GraphTensor:
        """The tensor behind ops that hand it on as it is."""
        for _ in range(64):
            node = self._view.node(tensor)
            if node is None or node.op not in ALIASES:
                break
            behind = self._view.results(tensor) if node.op in CALLS else node.inputs[:1]
            if not behind:
                break
            tensor = behind[0]
        return tensor

    def upstream(self, tensors: Iterable[GraphTensor]) -> frozenset[str]:
        """The nodes that some tensors are made of, inside of functions and loops as well."""
        pending, found = [*tensors], set[str]()
        while pending:
            tensor = pending.pop()
            node = self._view.node(tensor)
            if node is None or node.name in found:
                continue
            found.add(node.name)
            pending.extend(node.inputs)
            for index in range(MOST_OUTPUTS):
                pending.extend(self._view.results(GraphTensor(node.name, index)))
        return frozenset(found)


def _is_in_branch(node: GraphNode) -> bool:
    """Whether a node takes a value into a branch, which is computed or not: the If is one op."""
    return node.op == "_Arg" and node.name.rsplit("/", 2)[-2] in _BRANCHES
