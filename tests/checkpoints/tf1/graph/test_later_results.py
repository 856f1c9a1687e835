"""What a TensorFlow 1 graph makes of its layers' outputs: as TensorFlow computes it, or not."""

from __future__ import annotations

import numpy as np
import pytest

import rnnscope as api
from rnnscope.checkpoints import read_checkpoint
from rnnscope.model.signal import Signal

X = np.random.default_rng(21).normal(size=(3, 6, 3)).astype(np.float32)
LENGTHS = np.array([6, 4, 2], np.int32)
MASK = np.arange(6) < LENGTHS[:, None]
FEED = {"x": X, "lengths": LENGTHS}


def results(path):
    """The later results by name."""
    return {one.name: one for one in read_checkpoint(path).later_results()}


def computed(found, outputs, mask=None, dtype="f4"):
    """A later result of the outputs of the layers that it reads, in their order."""
    return found.layer(*(Signal(one.astype(dtype), mask) for one in outputs)).values


def equal(ours, theirs):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)


def saved(tf1, build, feed=None):
    """`TF1.save` with the same weights every time."""

    def seeded():
        tf1.v1.set_random_seed(5)
        return build()

    return tf1.save(seeded, feed)


def dense(tf1, x, units, name):
    """A dense layer over the last axis of two."""
    with tf1.v1.variable_scope(name):
        kernel = tf1.v1.get_variable("kernel", (x.shape[-1], units))
        bias = tf1.v1.get_variable("bias", (units,), initializer=tf1.v1.random_normal_initializer())
        return tf1.v1.nn.bias_add(x @ kernel, bias)


def test_logits_and_probabilities_over_time(tf, tf1, control_flow):
    """The axis of steps and sequences is taken apart; labels, loss and training are no results."""

    def build():
        v1 = tf1.v1
        outputs, _ = v1.nn.dynamic_rnn(
            tf1.cell(4), tf1.placeholder(None), tf1.lengths(), dtype="float32"
        )
        hidden = tf.nn.relu(dense(tf1, tf.reshape(outputs, (-1, 4)), 5, "first"))
        logits = tf.identity(dense(tf1, hidden, 7, "second"), "logits")
        probabilities = tf.nn.softmax(logits, name="probabilities")
        labels = v1.placeholder("int32", (None, None), "labels")
        loss = tf.reduce_mean(
            v1.nn.sparse_softmax_cross_entropy_with_logits(
                labels=tf.reshape(labels, [-1]), logits=logits
            )
        )
        v1.train.AdamOptimizer().minimize(loss)
        tf.argmax(logits, 1)
        return outputs, logits, probabilities

    prefix, (outputs, logits, probabilities) = saved(tf1, build, FEED)
    found = results(prefix)
    assert set(found) == {"second/BiasAdd", "probabilities"}
    (layer,) = read_checkpoint(prefix).network.recurrent
    assert layer.recurrent.evidence.kind == "proved"  # lists of gradients do not stand in its way
    assert found["probabilities"].reads == ("rnn/lstm_cell",)
    assert found["probabilities"].layer.step_by_step
    assert "Softmax" in found["probabilities"].layer.kind
    for dtype in ("f4", "f8"):
        ours = computed(found["second/BiasAdd"], [outputs], MASK, dtype)
        equal(ours, logits.reshape(3, 6, 7))
        ours = computed(found["probabilities"], [outputs], MASK, dtype)
        equal(ours, probabilities.reshape(3, 6, 7))


def test_the_last_valid_output_picked_by_lengths(tf, tf1):
    """Lengths are those that the layer takes; labels of the same shape are none."""

    def build():
        v1 = tf1.v1
        lengths = tf1.lengths()
        outputs, _ = v1.nn.dynamic_rnn(tf1.cell(4), tf1.placeholder(None), lengths, dtype="float32")
        rows = tf.stack([tf.range(tf.shape(outputs)[0]), lengths - 1], axis=1)
        logits = dense(tf1, tf.gather_nd(outputs, rows), 5, "dense")
        labels = v1.placeholder("int32", (None,), "labels")
        tf.reduce_sum(tf.one_hot(labels, 5) * tf.nn.log_softmax(logits), 1, name="per_example")
        return outputs, logits

    prefix, (outputs, logits) = saved(tf1, build, FEED)
    found = results(prefix)
    assert set(found) == {"dense/BiasAdd", "LogSoftmax"}
    equal(computed(found["dense/BiasAdd"], [outputs], MASK), logits)
    assert not found["dense/BiasAdd"].layer.step_by_step


def test_the_final_m(tf, tf1, control_flow):
    """The state after the last valid step is the last valid output."""

    def build():
        outputs, final = tf1.v1.nn.dynamic_rnn(
            tf1.stack(tf1.cell(5), tf1.cell(4)), tf1.placeholder(), tf1.lengths(), dtype="float32"
        )
        return outputs, tf.sigmoid(dense(tf1, final[-1].h, 2, "dense"), name="score")

    prefix, (outputs, score) = saved(tf1, build, FEED)
    found = results(prefix)
    assert set(found) == {"dense/BiasAdd", "score"}
    assert found["score"].reads == ("rnn/multi_rnn_cell/cell_1/lstm_cell",)
    equal(computed(found["score"], [outputs], MASK), score)


def test_both_directions(tf, tf1):
    """What is read of a backward layer is turned back as the graph turns it."""

    def build():
        both, _ = tf1.v1.nn.bidirectional_dynamic_rnn(
            tf1.cell(4), tf1.cell(4), tf1.placeholder(), tf1.lengths(), dtype="float32"
        )
        joined = tf.concat(both, 2)
        mean = tf.reduce_mean(joined, axis=1)
        return *both, dense(tf1, mean, 3, "dense")

    prefix, (forward, backward, logits) = saved(tf1, build, FEED)
    (found,) = results(prefix).values()
    outputs = {
        "bidirectional_rnn/fw/lstm_cell": forward,
        "bidirectional_rnn/bw/lstm_cell": backward,
    }
    equal(computed(found, [outputs[name] for name in found.reads], MASK), logits)


@pytest.mark.parametrize("last", [True, False])
def test_steps_that_are_written_out(tf, tf1, last):
    """static_rnn: every step's tensor is one of the outputs, the ops of the cells are none."""

    def build():
        steps, _ = tf1.v1.nn.static_rnn(
            tf1.cell(4), tf.unstack(tf1.placeholder(), axis=1), dtype="float32"
        )
        whole = tf.stack(steps, 1)
        read = steps[-1] if last else tf.reshape(whole, (-1, 24))
        return whole, dense(tf1, read, 3, "dense")

    prefix, (outputs, logits) = saved(tf1, build, {"x": X})
    (found,) = results(prefix).values()
    equal(computed(found, [outputs]), logits)


def test_fused_sequences_and_dropout(tf, tf1):
    """A fused op has its outputs without a loop; dropout behind it is off."""

    def build():
        v1 = tf1.v1
        x = tf1.placeholder()
        keep = v1.placeholder("float32", (), "keep")
        kernel = v1.get_variable("kernel", (7, 16))
        bias = v1.get_variable("bias", (16,))
        none, zeros = tf.zeros((4,)), tf.zeros((tf.shape(x)[0], 4))
        made = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.constant(6, tf.int64), x=tf.transpose(x, (1, 0, 2)), cs_prev=zeros,
            h_prev=zeros, w=kernel, wci=none, wcf=none, wco=none, b=bias,
        )  # fmt: skip
        dropped = v1.nn.dropout(made.h[-1], keep_prob=keep)
        return tf.transpose(made.h, (1, 0, 2)), dense(tf1, dropped, 3, "dense")

    prefix, (outputs, logits) = saved(tf1, build, {"x": X, "keep": np.float32(1)})
    (found,) = results(prefix).values()
    equal(computed(found, [outputs]), logits)


def test_what_is_added_to_the_input(tf, tf1):
    """A result may read the input that a layer reads, as a residual does."""

    def build():
        x = tf1.placeholder()
        outputs, _ = tf1.v1.nn.dynamic_rnn(tf1.cell(3), x, dtype="float32")
        return outputs, tf.add(outputs, x, name="residual")

    prefix, (outputs, residual) = saved(tf1, build, {"x": X})
    (found,) = results(prefix).values()
    assert found.reads == ("rnn/lstm_cell", "x")
    equal(computed(found, [outputs, X]), residual)


def test_a_branch_that_is_not_trained(tf, tf1, control_flow):
    """Statistics of the batch are those of training; else the stored ones are taken."""

    def build():
        v1 = tf1.v1
        outputs, _ = v1.nn.dynamic_rnn(tf1.cell(4), tf1.placeholder(), dtype="float32")
        mean = v1.get_variable("mean", (4,), initializer=v1.random_normal_initializer())
        training = v1.placeholder("bool", (), "training")
        taken = v1.cond(training, lambda: tf.reduce_mean(outputs, (0, 1)), lambda: mean + 0.5)
        return outputs, tf.subtract(outputs, taken, name="normal")

    prefix, (outputs, normal) = saved(tf1, build, {"x": X, "training": np.array(False)})
    found = results(prefix)["normal"]
    equal(computed(found, [outputs]), normal)


def test_what_mixes_sequences_or_reads_c_is_left_out(tf, tf1):
    """Statistics of the batch, the final c, and what needs values that a run has not."""

    def build():
        v1 = tf1.v1
        outputs, final = v1.nn.dynamic_rnn(tf1.cell(4), tf1.placeholder(None), dtype="float32")
        weight = v1.placeholder("float32", (), "weight")
        other = v1.placeholder("float32", (None, 4), "other")
        return (
            outputs - tf.reduce_mean(outputs, axis=0),
            tf.tanh(final.c) * 2,
            outputs[:, 0] * weight,
            outputs[:, 0] + other,
        )

    prefix, _ = saved(tf1, build)
    assert results(prefix) == {}


def test_a_frozen_graph_and_an_export(tf, tf1):
    """The same result, whichever file the graph lies in."""
    v1, folder = tf1.v1, tf1.folder
    with tf.Graph().as_default() as graph, v1.Session() as session:
        outputs, _ = v1.nn.dynamic_rnn(tf1.cell(4), tf1.placeholder(), dtype="float32")
        made = tf.nn.softmax(dense(tf1, outputs[:, -1], 3, "dense"), name="made")
        session.run(v1.global_variables_initializer())
        truth = session.run([outputs, made], {"x:0": X})
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["made"]
        )
        (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
        v1.saved_model.simple_save(
            session, str(folder / "saved"), {"x": graph.get_tensor_by_name("x:0")}, {"y": made}
        )
    for name in ("frozen.pb", "saved"):
        found = results(folder / name)
        assert set(found) == {"dense/BiasAdd", "made"}
        equal(computed(found["made"], truth[:1]), truth[1])


def test_logits_tell_a_forget_bias(tf, tf1):
    """Nothing but logits is there, and another forget bias made them."""

    def build(bias):
        outputs, _ = tf1.v1.nn.dynamic_rnn(
            tf1.cell(4, forget_bias=bias), tf1.placeholder(), dtype="float32"
        )
        return dense(tf1, outputs[:, -1], 5, "dense")

    prefix, _ = saved(tf1, lambda: build(1.0))
    logits = tf1.truth(lambda: build(0.0), prefix, {"x": X})
    (fit,) = api.explain(prefix, X, logits, budget=20).to_dict()["fits"]
    (deviation,) = fit["reading"]
    assert deviation["id"] == "forget-bias"
    assert abs(float(deviation["value"])) < 1e-5
