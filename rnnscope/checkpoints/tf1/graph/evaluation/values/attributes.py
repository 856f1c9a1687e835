"""Attributes of TensorFlow's ops, as numbers, text and dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode
from rnnscope.files.tensorflow.protos import DTYPES
from rnnscope.model.ops import EvaluationError

Evaluate = Callable[[GraphNode, list[Any]], Any]
"""``evaluate(node, inputs) -> value``, or a tuple of values for several outputs."""


def dtype_of(node: GraphNode, key: str, default: int = 0) -> Any:
    """The numpy dtype of an attribute.

    Raises
    ------
    EvaluationError
        It is none that OPS knows: strings, resources, quantized numbers.
    """
    number = int(node.attr[key].type) if key in node.attr else default
    if number not in DTYPES:
        raise EvaluationError(f"op {node.op} (node '{node.name}') makes values of type {number}")
    return DTYPES[number].type


def integers(node: GraphNode, key: str) -> list[int]:
    """A list of whole numbers; empty where the attribute is missing."""
    return [int(value) for value in node.attr[key].list.i] if key in node.attr else []


def text(node: GraphNode, key: str, default: str = "") -> str:
    """Text; the default where the attribute is missing or empty."""
    value = node.attr[key].s.decode("ascii", "replace") if key in node.attr else ""
    return value or default
