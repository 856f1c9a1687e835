"""An array of which nothing but the shape may be used.

What a graph asks of its placeholders is often their size alone: how many sequences, how many
steps. Where the value would matter, the evaluation stops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.values.attributes import dtype_of
from rnnscope.checkpoints.tf1.graph.evaluation.values.operations import TF_OPERATIONS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.ops import MissingInputError


@dataclass(frozen=True)
class ShapeOnly:
    """A stand-in for a value that was not given.

    Attributes
    ----------
    shape : tuple of int
    name : str
        What has no value, for messages.
    """

    shape: tuple[int, ...]
    name: str


SIZES = {"Shape", "Size", "Rank"}
ALIKE = {"Identity", "Cast", "StopGradient", "EnsureShape", "Tanh", "Relu", "Sigmoid", "Neg"}
MOVED = {"Transpose", "ExpandDims", "Squeeze", "Reshape", "ConcatV2", "StridedSlice"}
"""Ops whose result has a shape that is found with zeros in the place of the value."""


def evaluate_shape(node: GraphNode, inputs: list[Any]) -> Any:
    """An op on a value of which the shape alone is known.

    Raises
    ------
    EvaluationError
        The op needs more than the shape.
    """
    unknown = next(value for value in inputs if isinstance(value, ShapeOnly))
    if node.op in SIZES and unknown is inputs[0]:
        sizes = {
            "Shape": unknown.shape,
            "Size": int(np.prod(unknown.shape)),
            "Rank": len(unknown.shape),
        }
        dtype = np.int32 if node.op == "Rank" else dtype_of(node, "out_type", 3)
        return np.array(sizes[node.op], dtype)
    if node.op in ("ZerosLike", "OnesLike"):
        dtype = dtype_of(node, "T", 1)
        return np.zeros(unknown.shape, dtype) + dtype(node.op == "OnesLike")
    if node.op in ALIKE:
        return unknown
    if node.op in MOVED and unknown is inputs[0]:
        zeros = [
            np.zeros(value.shape, np.int8) if isinstance(value, ShapeOnly) else value
            for value in inputs
        ]
        return ShapeOnly(np.shape(TF_OPERATIONS[node.op](node, zeros)), unknown.name)
    needs = f"op {node.op} (node '{node.name}') needs the value of '{unknown.name}'"
    raise MissingInputError(f"{needs}, which is not given", unknown.name)
