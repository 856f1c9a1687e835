"""Whose final states a layer starts from: what enters its first step, taken apart.

A decoder may start from the final state of one layer, from those of two directions side by side
or added up, and each of them may lie in a packed tensor ``[c, m]``. `Handovers.read` follows the
tensors back and tells which it is; anything else that is made of a layer's states is an obstacle
with a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import MAX_STEPS
from rnnscope.checkpoints.tf1.graph.layers.grouping import data_inputs
from rnnscope.checkpoints.tf1.graph.layers.state_parts import KnownStates, Parts, PartWalk
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import VALUELESS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.initial_state import HandoverJoin

TAKES_A_STEP = {"StridedSlice", "Slice", "Gather", "GatherV2", "GatherNd", "Unpack", "Split"}
"""Ops that take the last step out of all states, which ops over whole sequences return."""


@dataclass(frozen=True)
class Handover:
    """What a layer starts from.

    Attributes
    ----------
    layers : tuple of str
    join : HandoverJoin
    obstacle : str
        Why it cannot be computed from the states of the layers; else empty.
    """

    layers: tuple[str, ...] = ()
    join: HandoverJoin = "concat"
    obstacle: str = ""


class Handovers:
    """Reads what layers start from.

    Parameters
    ----------
    view : GraphView
    cells : iterable of (str, list of FoundCell)
        The layers and their steps.
    width_of : callable
        ``width_of(layer, state) -> int``.
    """

    def __init__(
        self,
        view: GraphView,
        cells: Iterable[tuple[str, list[FoundCell]]],
        width_of: Callable[[str, str], int],
    ) -> None:
        layers = list(cells)
        self._view = view
        self._known = KnownStates.of(view, layers, width_of)
        self._fused = {name for name, steps in layers if any(cell.op for cell in steps)}

    def read(self, name: str, cell: FoundCell) -> Handover | None:
        """What a layer's first step starts from; None if from no layer's state."""
        walk = PartWalk(self._known, name)
        found = {state: walk.parts(before) for state, before in cell.before.items()}
        if all(parts == () for parts in found.values()):
            return None
        if any(parts is None for parts in found.values()):
            return self._unclear(walk)
        layers = {tuple(part.layers for part in parts or ()) for parts in found.values()}
        named = all(part.state == state for state, parts in found.items() for part in parts or ())
        if len(layers) != 1 or not named:
            told = "; ".join(f"{state} from {_words(parts)}" for state, parts in found.items())
            return Handover(_sources(found.values()), obstacle=f"starts with {told}")
        (parts,) = layers
        if len(parts) == 1:
            return Handover(parts[0], "sum" if len(parts[0]) > 1 else "concat")
        if all(len(part) == 1 for part in parts):
            return Handover(tuple(name for part in parts for name in part))
        together = "starts with sums of states side by side"
        return Handover(_sources(found.values()), obstacle=together)

    def _unclear(self, walk: PartWalk) -> Handover | None:
        """What could not be taken apart: nothing of a layer, a fused op's last step, or unknown."""
        for tensor in walk.unknown:
            behind = self._behind(tensor, walk.asking)
            if not behind:
                continue
            node = self._view.node(tensor)
            if len(behind) == 1 and behind <= self._fused and node and node.op in TAKES_A_STEP:
                return Handover((*behind,))
            op = "" if node is None else f" by op {node.op} (node '{node.name}')"
            names = ", ".join(f"'{name}'" for name in sorted(behind))
            computed = f"starts with what the graph computes{op} from {names}"
            return Handover(tuple(sorted(behind)), obstacle=computed)
        return None

    def _behind(self, tensor: GraphTensor, asking: str) -> set[str]:
        """The other layers whose states a tensor is computed from."""
        pending, seen, found = [tensor], {tensor}, set[str]()
        while pending and len(seen) < MAX_STEPS:
            current = pending.pop()
            node = self._view.node(current)
            if current in self._known.after:
                found.add(self._known.after[current][0])
                continue
            if node is None or node.op in VALUELESS:
                continue
            for step in data_inputs(self._view, node, current):
                if step not in seen:
                    seen.add(step)
                    pending.append(step)
        return found - {asking}


def _sources(found: Iterable[Parts | None]) -> tuple[str, ...]:
    """The layers of all parts, each once."""
    return tuple(
        dict.fromkeys(name for parts in found for part in parts or () for name in part.layers)
    )


def _words(parts: Parts | None) -> str:
    if not parts:
        return "zeros"
    return " and ".join(f"{part.state} of '{' + '.join(part.layers)}'" for part in parts)
