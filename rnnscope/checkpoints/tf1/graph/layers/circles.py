"""Which layers are fed by their own past, through others or alone, and whether they attend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import MAX_STEPS
from rnnscope.checkpoints.tf1.graph.layers.grouping import data_inputs
from rnnscope.checkpoints.tf1.graph.layers.state_parts import comes_back
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import VALUELESS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class _Reached:
    """What is found on the way back from an x.

    Attributes
    ----------
    states : set of (layer, step, later)
        `later`: the variable of a loop stands between, so that it is of an earlier step.
    attends : bool
        Whether weights over steps are computed on the way.
    """

    states: frozenset[tuple[str, int, bool]]
    attends: bool


class Circles:
    """Follows every layer's x back to the states that it is made of.

    Parameters
    ----------
    view : GraphView
    cells : mapping of str to list of FoundCell
        The layers and their steps.
    """

    def __init__(self, view: GraphView, cells: Mapping[str, list[FoundCell]]) -> None:
        self._view = view
        self._cells = cells
        self._place = {
            tensor: (name, number)
            for name, steps in cells.items()
            for number, cell in enumerate(steps)
            for tensor in cell.after.values()
        }

    def feeds_itself(self, name: str) -> bool:
        """Whether a layer's x is made of an earlier state of its own, or of one that reads it."""
        return any(layer in self._circle(name) for layer in self._earlier(name))

    def attends(self, name: str) -> bool:
        """Whether weights over steps are computed on the way to a layer's x."""
        return self._reached[name].attends

    def _earlier(self, name: str) -> set[str]:
        """The layers of whose earlier steps a layer's x is made."""
        step = self._probed(name)
        return {
            layer
            for layer, number, later in self._reached[name].states
            if later or (step > 0 and number < step)
        }

    def _circle(self, name: str) -> set[str]:
        """The layers that read a layer, each other or themselves, and that it reads."""
        reads = self._reads

        def behind(start: str) -> set[str]:
            pending, found = [*reads[start]], set[str]()
            while pending:
                current = pending.pop()
                if current not in found:
                    found.add(current)
                    pending.extend(reads[current])
            return found

        ahead = behind(name)
        if name not in ahead:
            return set()  # no way leads back, and no layer on it need be asked
        return {layer for layer in ahead if name in behind(layer)}

    @cached_property
    def _reads(self) -> dict[str, set[str]]:
        """The layers whose states make each layer's x."""
        return {
            layer: {other for other, _, _ in reached.states}
            for layer, reached in self._reached.items()
        }

    def _probed(self, name: str) -> int:
        """The step whose x tells: the first that can be made of an earlier one."""
        return min(1, len(self._cells[name]) - 1)

    @cached_property
    def _reached(self) -> dict[str, _Reached]:
        return {
            name: self._behind(steps[self._probed(name)].x) for name, steps in self._cells.items()
        }

    def _behind(self, x: GraphTensor) -> _Reached:
        """Every state that an x is made of, no further back than the nearest of each kind."""
        pending, seen = [(x, False)], {(x, False)}
        states: set[tuple[str, int, bool]] = set()
        attends = False
        while pending and len(seen) < MAX_STEPS:
            current, later = pending.pop()
            if current in self._place:
                states.add((*self._place[current], later))
                continue
            node = self._view.node(current)
            if node is None or node.op in VALUELESS:
                continue
            attends = attends or node.op == "Softmax" or "attention" in node.name.lower()
            later = later or node.op == "_LoopVariable" or comes_back(self._view, node)
            for step in data_inputs(self._view, node, current):
                if (step, later) not in seen:
                    seen.add((step, later))
                    pending.append((step, later))
        return _Reached(frozenset(states), attends)
