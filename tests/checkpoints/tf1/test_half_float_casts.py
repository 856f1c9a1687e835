"""Casts to 16 bits in TensorFlow's graphs, held to TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.tf1.graph.evaluation.values.operations import TF_OPERATIONS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.files.tensorflow.proto_schema import message_class
from rnnscope.model.ops import EvaluationError

X = np.random.default_rng(5).normal(size=(2, 6, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(6).normal(size=(7, 16)).astype(np.float32)
FRONT = np.random.default_rng(7).normal(size=(3, 3)).astype(np.float32)


def frozen(path, place, half):
    """A loop of a BasicLSTMCell with a cast to 16 bits and back; TensorFlow's outputs of X."""
    import tensorflow as tf

    half, v1 = getattr(tf, half), tf.compat.v1

    def rounded(value, here):
        return tf.cast(tf.cast(value, half), tf.float32) if here == place else value

    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, (None, 6, 3), name="x")
        fed = rounded(x, "x")
        if place == "product":
            flat = tf.matmul(tf.reshape(tf.cast(x, half), (-1, 3)), tf.cast(FRONT, half))
            fed = tf.cast(tf.reshape(flat, (-1, 6, 3)), tf.float32)
        kernel = tf.constant(WEIGHTS, name="rnn/basic_lstm_cell/kernel")
        bias = tf.constant(WEIGHTS[0], name="rnn/basic_lstm_cell/bias")

        def step(t, m, c, made):
            read = tf.concat([fed[:, t], m], 1)
            gates = tf.nn.bias_add(tf.matmul(read, rounded(kernel, "kernel")), bias)
            i, g, f, o = tf.split(gates, 4, axis=1)
            c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(g)
            m = rounded(tf.tanh(c) * tf.sigmoid(o), "m")
            return t + 1, m, c, made.write(t, m)

        zeros = tf.zeros((tf.shape(x)[0], 4))
        first = [0, zeros, zeros, tf.TensorArray(tf.float32, 6)]
        *_, made = v1.while_loop(lambda t, *_: t < 6, step, first)
        y = tf.transpose(made.stack(), [1, 0, 2], name="y")
        path.write_bytes(graph.as_graph_def().SerializeToString())
        with v1.Session() as session:
            return session.run(y, {x: X})


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@pytest.mark.parametrize("place", ["x", "kernel", "m"])
def test_as_tensorflow_has_it(tmp_path, place, half):
    path = tmp_path / "graph.pb"
    theirs = frozen(path, place, half)
    (layer,) = rnnscope.run(path, X, model_input=True).layers.values()
    np.testing.assert_allclose(layer.outputs, theirs, rtol=0, atol=2e-6)
    assert not [note for note in read_checkpoint(path).notes if "16 bits" in note]


def test_what_is_computed_in_16_bits_is_told(tmp_path):
    """How TensorFlow sums in 16 bits depends on the machine."""
    path = tmp_path / "graph.pb"
    frozen(path, "product", "float16")
    notes = [note for note in read_checkpoint(path).notes if "16 bits" in note]
    assert notes == [
        "The graph computes in 16 bits: MatMul 'MatMul'. rnnscope computes it in float32, and "
        "rounds to 16 bits where the graph casts."
    ]


def test_a_cast_that_cuts_off_is_not_computed():
    graph = message_class("GraphDef")()
    node = graph.node.add(name="cut", op="Cast", input=["x"])
    node.attr["DstT"].type, node.attr["Truncate"].b = 14, True
    view = GraphView(graph)
    with pytest.raises(EvaluationError, match="cuts floats off"):
        TF_OPERATIONS["Cast"](view.node(GraphTensor("cut")), [X])
