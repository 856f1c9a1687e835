"""What an op of a damaged graph raises becomes an error that names it, whatever it is."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import Loops
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.files.tensorflow.proto_schema import message_class
from rnnscope.model.ops import EvaluationError

IMAGE = np.ones((1, 2, 3, 4), np.float32)
FILTER = np.ones((1, 1, 4, 2), np.float32)


@pytest.mark.parametrize(
    ("op", "inputs", "ints"),
    [
        ("Conv2D", [IMAGE, FILTER], {"strides": [1, 0, 0, 1]}),
        ("MaxPool", [IMAGE], {"ksize": [1, 1, 1, 1], "strides": [1, 0, 0, 1]}),
        ("TensorListLength", [IMAGE], {}),
        ("TensorArrayReadV3", [IMAGE, np.int32(0), np.float32(0)], {}),
    ],
)
def test_an_op_that_does_not_fit_is_named(op, inputs, ints):
    """Strides of 0, and an array in the place of a list, ended the program."""
    graph = message_class("GraphDef")()
    names = [f"in{number}" for number in range(len(inputs))]
    for name in names:
        graph.node.add(name=name, op="Placeholder")
    node = graph.node.add(name="here", op=op, input=names)
    for name, values in ints.items():
        node.attr[name].list.i.extend(values)
    view = GraphView(graph)
    given = {GraphTensor(name): np.asarray(one) for name, one in zip(names, inputs, strict=True)}
    evaluator = GraphEvaluator(view, GraphWeights(view, {}, _none), Loops(view), given)
    with pytest.raises(EvaluationError, match=rf"op {op} \(node 'here'\)"):
        evaluator.value(GraphTensor("here"))


def _none(name):
    raise AssertionError(name)
