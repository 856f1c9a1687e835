"""A weight's shape is told by what stores it: a table of any size need not be read for it."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.files.tensorflow.proto_schema import message_class


@pytest.fixture
def view() -> GraphView:
    graph = message_class("GraphDef")()
    for name, op, inputs in (
        ("table", "VarHandleOp", ()),
        ("read", "ReadVariableOp", ("table",)),
        ("axis", "Const", ()),
        ("joined", "ConcatV2", ("read", "read", "axis")),
    ):
        node = graph.node.add(name=name, op=op, input=inputs)
        if op == "Const":
            tensor = node.attr["value"].tensor
            tensor.dtype, tensor.int_val[:] = 3, [0]  # DT_INT32
    return GraphView(graph)


def test_a_whole_variable_is_not_read(view: GraphView) -> None:
    def read(name: str) -> np.ndarray:
        raise AssertionError(name)

    weights = GraphWeights(view, {"table": (10**9, 64)}, read)
    assert weights.shape(GraphTensor("read")) == (10**9, 64)


def test_what_is_joined_of_variables_has_the_shape_of_the_whole(view: GraphView) -> None:
    weights = GraphWeights(view, {"table": (5, 2)}, lambda _: np.zeros((5, 2), np.float32))
    assert weights.shape(GraphTensor("joined")) == (10, 2)
