"""Where the lengths of a layer come from in a graph: an input, a constant, a mask, or computed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rnnscope.checkpoints.tf1.graph.feeds.masks import computed_mask
from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import INPUT_OPS
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import Chosen, peel, walk
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.model.lengths_source import LENGTHS_UNUSED, LengthsSource

COMPARES = {"GreaterEqual", "Greater", "LessEqual", "Less", "LogicalNot", "SequenceMask",
            "LogicalOr", "LogicalAnd", "Maximum", "Minimum"}  # fmt: skip
SHAPES = {"Tile", "ExpandDims", "BroadcastTo", "Reshape", "Transpose"}

MAX_TENSORS = 200
"""Behind a condition, that are looked at."""


def read_lengths(
    view: GraphView, selects: list[Chosen], beside: GraphTensor | None
) -> LengthsSource:
    """Where a layer's lengths come from.

    Parameters
    ----------
    view : GraphView
    selects : list of Chosen
        What chooses between a step's states and the ones before it.
    beside : GraphTensor or None
        Lengths within which what the layer reads is turned.
    """
    tensors = [chosen.condition for chosen in selects]
    if beside is not None:
        tensors.append(beside)
    if not tensors:
        return LENGTHS_UNUSED
    for tensor in tensors:
        for current, node in _behind_condition(view, tensor):
            if node.op in INPUT_OPS:
                words = f"sequence_length from placeholder '{node.name}'"
                return LengthsSource("input", words)
            value = view.constant(current)
            if value is not None and value.ndim == 1 and value.dtype.kind == "i":
                words = f"sequence_length {value.tolist()}, a constant of the graph"
                return LengthsSource("stored", words, value)
    mask = computed_mask(view, tensors)
    if mask is not None:
        what = "features are not all" if mask.features else "ids are not"
        words = f"mask of the steps whose {what} {mask.value:g} (node '{mask.name}')"
        return LengthsSource("mask", words)
    return LengthsSource("computed", f"computed in the graph (node '{tensors[0].node}')")


def length_candidates(
    view: GraphView, selects: list[Chosen], beside: GraphTensor | None
) -> tuple[GraphTensor, ...]:
    """Tensors that may hold a layer's lengths, those nearest to the comparison first.

    Parameters
    ----------
    view, selects, beside
        As of `read_lengths`.
    """
    pending = [] if beside is None else [beside]
    pending += [chosen.condition for chosen in selects]
    found: dict[GraphTensor, None] = {}
    while pending and len(found) < MAX_TENSORS:
        current = peel(view, pending.pop(0))
        if current in found:
            continue
        found[current] = None
        node = view.node(current)
        if node is not None and node.op in COMPARES:
            pending.extend(node.inputs)
        elif node is not None and node.op in SHAPES:
            pending.append(node.inputs[0])
    return tuple(found)


def _behind_condition(view: GraphView, tensor: GraphTensor) -> Iterable[tuple[GraphTensor, Any]]:
    """What a Select's condition compares: placeholders and constants behind it."""
    pending, seen = [tensor], set[GraphTensor]()
    while pending and len(seen) < MAX_TENSORS:
        current = pending.pop(0)
        if current in seen:
            continue
        seen.add(current)
        for reached, node in walk(view, current):
            if node is None:
                continue
            if node.op in INPUT_OPS or node.op == "Const":
                yield reached, node
            elif node.op in COMPARES:
                pending.extend(node.inputs)
            elif node.op in SHAPES:
                pending.append(node.inputs[0])
