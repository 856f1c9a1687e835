"""Masks that a graph computes itself, and what a layer does at masked steps.

`dynamic_rnn` compares the step with a length and emits zeros; Keras compares the input with a
value (Masking, ``mask_zero``) and repeats its last output, or emits zeros if it was told to.
"""

from __future__ import annotations

from collections.abc import Iterable

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import DRESSED, REVERSES
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import SELECTS, handed_on, peel
from rnnscope.checkpoints.tf1.graph.nodes.expressions import both_ways, forward
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import (
    GraphNode,
    GraphTensor,
    GraphView,
    is_zero,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.recurrent_layer import PaddingRule

SPREADS = {"Tile": 0, "BroadcastTo": 0, "Cast": 0, **dict.fromkeys(REVERSES, 0)}
"""Ops that a mask passes beside those of a sequence: the position of the input."""

MAX_STEPS = 200


@dataclass(frozen=True)
class ComputedMask:
    """``input != value``, over all features where `features`, else id by id."""

    source: GraphTensor
    value: float
    features: bool
    name: str


def padding_rule(view: GraphView, cells: Iterable[FoundCell]) -> PaddingRule:
    """What a layer that skips steps emits there: zeros, or Keras' repeated output."""
    rules: list[PaddingRule] = []
    for cell in cells:
        if not cell.split_inputs:
            return "zeros"  # of TensorFlow's own loops, none repeats an output
        for node in forward(view, cell.m):
            if node.op not in SELECTS or len(node.inputs) < 3:
                continue
            others = [part for part in node.inputs[1:] if peel(view, part) != peel(view, cell.m)]
            # The state that is carried has a Select of its own, which says nothing of outputs.
            if any(peel(view, part) == peel(view, cell.before["m"]) for part in others):
                continue
            zeros = any(is_zero(view, peel(view, part)) for part in others)
            rules.append("zeros" if zeros else "hold")
    return "zeros" if "zeros" in rules or not rules else "hold"


def computed_mask(view: GraphView, conditions: Iterable[GraphTensor]) -> ComputedMask | None:
    """The comparison with a value behind the conditions of some Selects; None for another."""
    pending = list(conditions)
    seen = set(pending)
    while pending and len(seen) < MAX_STEPS:
        node = view.node(pending.pop())
        if node is None:
            continue
        found = _comparison(view, node)
        if found is not None:
            return found
        onward = handed_on(view, node, GraphTensor(node.name)) or ()
        position = DRESSED.get(node.op, SPREADS.get(node.op))
        if not onward and position is not None and position < len(node.inputs):
            onward = (node.inputs[position],)
        pending.extend(part for part in onward if part not in seen)
        seen.update(onward)
    return None


def _comparison(view: GraphView, node: GraphNode) -> ComputedMask | None:
    """``any(x != value)`` over the last axis, or ``ids != value``."""
    compared, features = node, False
    if node.op == "Any":
        inner = view.node(peel(view, node.inputs[0]))
        if inner is None:
            return None
        compared, features = inner, True
    if compared.op != "NotEqual":
        return None
    for source, constant in both_ways(compared):
        value = view.scalar(peel(view, constant))
        if value is not None:
            return ComputedMask(source, value, features, compared.name)
    return None
