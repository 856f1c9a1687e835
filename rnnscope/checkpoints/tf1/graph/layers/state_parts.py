"""States that enter a layer's first step, taken apart into states of other layers.

A state may lie in a packed tensor ``[c, m]``, be handed round by a loop, chosen between steps by a
Select, put beside another one or added to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import (
    ADDS,
    CALLERS,
    COMES_BACK,
    ENTERS,
    HANDS_ON_FIRST,
    SELECTS,
    dropout_source,
)
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import (
    GraphNode,
    GraphTensor,
    GraphView,
    is_zero,
)
from rnnscope.checkpoints.tf1.graph.nodes.linear import columns, sliced
from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class StatePart:
    """Some columns of a state: those of a layer, or the sum of those of several."""

    layers: tuple[str, ...]
    state: str


Parts = tuple[StatePart, ...]


@dataclass(frozen=True)
class KnownStates:
    """Which tensors of a graph are states of its layers.

    Attributes
    ----------
    view : GraphView
    after : mapping of GraphTensor to (layer, state)
        What a step leaves.
    carried : mapping of GraphTensor to (layer, state)
        The variables of loops, which hold the state of the last step that was taken.
    width_of : callable
        ``width_of(layer, state) -> int``.
    """

    view: GraphView
    after: Mapping[GraphTensor, tuple[str, str]]
    carried: Mapping[GraphTensor, tuple[str, str]]
    width_of: Callable[[str, str], int]

    @classmethod
    def of(
        cls,
        view: GraphView,
        layers: Iterable[tuple[str, list[FoundCell]]],
        width_of: Callable[[str, str], int],
    ) -> KnownStates:
        """Those of layers and their steps."""
        after: dict[GraphTensor, tuple[str, str]] = {}
        carried: dict[GraphTensor, tuple[str, str]] = {}
        for name, steps in layers:
            for cell in steps:
                after |= {tensor: (name, state) for state, tensor in cell.after.items()}
                for state, tensor in cell.before.items():
                    loop = loop_variable(view, tensor)
                    if loop is not None:
                        carried[loop] = (name, state)
        return cls(view, after, carried, width_of)


class PartWalk:
    """One walk back from the states that a layer's first step reads.

    Parameters
    ----------
    known : KnownStates
    asking : str
        The layer.

    Attributes
    ----------
    unknown : list of GraphTensor
        What could not be taken apart.
    """

    def __init__(self, known: KnownStates, asking: str) -> None:
        self._known = known
        self._view = known.view
        self.asking = asking
        self.unknown: list[GraphTensor] = []
        self._open: set[GraphTensor] = set()

    def parts(self, tensor: GraphTensor, inside: bool = True) -> Parts | None:
        """The states that a tensor is made of; none for zeros; None if it cannot be told.

        `inside` its own loop a layer's state is also its last step's; what enters the loop counts.
        """
        told = self._known.after.get(tensor) or self._known.carried.get(tensor)
        if told is not None and told[0] != self.asking:
            return (StatePart((told[0],), told[1]),)
        if tensor in self._open or is_zero(self._view, tensor):
            return ()
        self._open.add(tensor)
        try:
            return self._read(tensor, inside)
        finally:
            self._open.discard(tensor)

    def _read(self, tensor: GraphTensor, inside: bool) -> Parts | None:
        node = self._view.node(tensor)
        if node is None:
            return self._lost(tensor)
        if node.op in HANDS_ON_FIRST or node.op == "_Arg":
            return self.parts(node.inputs[0], inside)
        if node.op == "_LoopVariable":
            branches = node.inputs[:1] if inside else node.inputs
            return self._agreed([self.parts(part, False) for part in branches])
        if node.op in ("Merge", "RefMerge"):
            enters = [part for part in node.inputs if self._view.op(part) in ENTERS]
            if inside and enters:
                return self.parts(enters[0], False)
            return self._agreed([self.parts(part, inside) for part in node.inputs])
        if node.op in CALLERS:
            results = self._view.results(tensor)
            return self._agreed([self.parts(part, inside) for part in results])
        if node.op in SELECTS:
            dropped = dropout_source(self._view, node)
            chosen = (dropped,) if dropped else node.inputs[1:3]
            return self._agreed([self.parts(part, inside) for part in chosen])
        if node.op in ("ConcatV2", "Concat"):
            return self._side_by_side(node, inside)
        if node.op in ADDS:
            return self._sum(node, inside)
        return self._columns(node, tensor, inside)

    def _side_by_side(self, node: GraphNode, inside: bool) -> Parts | None:
        joined = node.inputs[:-1] if node.op == "ConcatV2" else node.inputs[1:]
        parts = [self.parts(part, inside) for part in joined]
        if all(part == () for part in parts):
            return ()
        if any(not part for part in parts):
            return self._lost(GraphTensor(node.name))
        return tuple(one for part in parts for one in part or ())

    def _sum(self, node: GraphNode, inside: bool) -> Parts | None:
        left, right = (self.parts(part, inside) for part in node.inputs[:2])
        if not left or not right or [p.state for p in left] != [p.state for p in right]:
            return self._lost(GraphTensor(node.name))
        pairs = zip(left, right, strict=True)
        return tuple(replace(one, layers=(*one.layers, *two.layers)) for one, two in pairs)

    def _columns(self, node: GraphNode, tensor: GraphTensor, inside: bool) -> Parts | None:
        """Some columns of a packed state."""
        source = sliced(node)
        whole = None if source is None else self.parts(source, inside)
        if not whole:
            return self._lost(tensor) if whole is None else ()
        widths = [self._known.width_of(part.layers[0], part.state) for part in whole]
        bounds = columns(self._view, node, tensor, sum(widths))
        ends = [sum(widths[: number + 1]) for number in range(len(widths))]
        starts = [end - width for end, width in zip(ends, widths, strict=True)]
        if bounds is None or bounds[0] not in starts or bounds[1] not in ends:
            return self._lost(tensor)
        return whole[starts.index(bounds[0]) : ends.index(bounds[1]) + 1]

    def _agreed(self, branches: list[Parts | None]) -> Parts | None:
        """What all branches say; zeros before the first step, and the loop itself, say nothing."""
        distinct = {branch for branch in branches if branch != ()}
        if not distinct:
            return ()
        return distinct.pop() if len(distinct) == 1 else None

    def _lost(self, tensor: GraphTensor) -> Parts | None:
        self.unknown.append(tensor)
        return None


def loop_variable(view: GraphView, tensor: GraphTensor) -> GraphTensor | None:
    """The variable of a loop that a tensor is, through what hands it on alone."""
    for _ in range(64):
        node = view.node(tensor)
        if node is None or not node.inputs:
            return None
        if node.op == "_LoopVariable" or comes_back(view, node):
            return GraphTensor(node.name)
        if node.op not in HANDS_ON_FIRST:
            return None
        tensor = node.inputs[0]
    return None


def comes_back(view: GraphView, node: GraphNode) -> bool:
    """Whether a node is where a loop (control flow v1) hands round what its last step left."""
    sources = [view.node(part) for part in node.inputs]
    return node.op in ("Merge", "RefMerge") and any(
        source is not None and source.op in COMES_BACK for source in sources
    )
