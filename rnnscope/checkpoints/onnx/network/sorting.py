"""Sequences that a graph sorts by length before a recurrent node, and puts back behind it.

PyTorch's ``pack_padded_sequence`` does so unless it is told that they are sorted. Every sequence
has its states by itself, so that they are the same without sorting; the proof compares both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import INTEGERS

_SAME = ("Cast", "Identity")


def sorting_nodes(graph: OnnxGraph) -> frozenset[OnnxNode]:
    """The nodes that sort all lengths, from the longest to the shortest: an input of the model."""
    return frozenset(
        node for node in graph.nodes
        if node.op == "TopK" and node.integer("largest", 1) and node.integer("sorted", 1)
        and _is_lengths(graph, sorted_input(graph, node))
    )  # fmt: skip


def sorted_input(graph: OnnxGraph, node: OnnxNode) -> str:
    """The value whose entries a node sorts, before its dtype is changed."""
    return graph.behind(node.input(0), _SAME)


def _is_lengths(graph: OnnxGraph, name: str) -> bool:
    if name not in graph.inputs:
        return False
    tensor = graph.inputs[name].type.tensor_type
    return tensor.elem_type in INTEGERS and len(tensor.shape.dim) == 1


def left_in_order(inputs: list[Any]) -> tuple[Any, Any]:
    """What a node that sorts makes if it does not: the lengths, and every sequence's own place."""
    return inputs[0], np.arange(len(inputs[0]), dtype=np.int64)
