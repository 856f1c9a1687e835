"""Make tests/data/computed_lengths with TensorFlow 1.15.5 (Python 3.7): graphs that count lengths.

Frozen graphs whose sequences end where their ids or rows are zero, or where another input says so.
truth.npz holds, by NAME/KEY, what goes in, what `dynamic_rnn` returned (outputs) and left (state).
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent / "computed_lengths"
LENGTHS = np.array([6, 4, 2])
SEQUENCES, STEPS, FEATURES, UNITS = 3, 6, 4, 5

cells, contrib = tf.nn.rnn_cell, tf.contrib
rng = np.random.RandomState(11)
counts = (np.arange(STEPS) < LENGTHS[:, None]).astype(np.int32)
IDS = rng.randint(1, 9, size=(SEQUENCES, STEPS)).astype(np.int32) * counts
ROWS = (rng.normal(size=(SEQUENCES, STEPS, FEATURES)) * counts[..., None]).astype(np.float32)


def embedded(name="ids"):
    ids = tf.placeholder(tf.int32, (None, None), name)
    return ids, tf.nn.embedding_lookup(tf.get_variable("table", (9, FEATURES)), ids)


def rows():
    x = tf.placeholder(tf.float32, (None, None, FEATURES), "x")
    used = tf.sign(tf.reduce_max(tf.abs(x), 2))
    return x, tf.cast(tf.reduce_sum(used, 1), tf.int32)


def both_ways(forward, backward, x, lengths):
    outputs, states = tf.nn.bidirectional_dynamic_rnn(
        forward, backward, x, sequence_length=lengths, dtype=tf.float32
    )
    return {"fw": (outputs[0], states[0]), "bw": (outputs[1], states[1])}


def rows_both_ways():
    x, lengths = rows()
    return {x: ROWS}, both_ways(cells.LSTMCell(UNITS), cells.LSTMCell(UNITS), x, lengths)


def ids_behind_layers():
    ids, x = embedded()
    x = contrib.layers.layer_norm(tf.layers.dense(x, 7, tf.nn.relu), begin_norm_axis=-1)
    lengths = tf.reduce_sum(tf.sign(ids), 1)
    return {ids: IDS}, both_ways(cells.LSTMCell(UNITS), cells.GRUCell(UNITS), x, lengths)


def unknown_cells():
    ids, x = embedded()
    forward, backward = contrib.rnn.UGRNNCell(UNITS), contrib.rnn.UGRNNCell(3)
    return {ids: IDS}, both_ways(forward, backward, x, tf.reduce_sum(tf.sign(ids), 1))


def unknown_cells_fed_lengths():
    ids, x = embedded()
    lengths = tf.placeholder(tf.int32, (None,), "lengths")
    forward, backward = contrib.rnn.UGRNNCell(UNITS), contrib.rnn.UGRNNCell(3)
    return {ids: IDS, lengths: LENGTHS}, both_ways(forward, backward, x, lengths)


def lengths_of_another_input():
    ids, x = embedded()
    mask = tf.placeholder(tf.int32, (None, None), "input_mask")
    outputs, state = tf.nn.dynamic_rnn(
        cells.LSTMCell(UNITS), x, sequence_length=tf.reduce_sum(mask, 1), dtype=tf.float32
    )
    return {ids: np.maximum(IDS, 1), mask: counts}, {"fw": (outputs, state)}


truth = {}
for build in (rows_both_ways, ids_behind_layers, unknown_cells, unknown_cells_fed_lengths,
              lengths_of_another_input):  # fmt: skip
    name = build.__name__
    with tf.Graph().as_default() as graph, tf.Session() as session:
        fed, made = build()
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            variable.load(rng.normal(scale=0.5, size=variable.shape).astype("float32"), session)
        values = session.run(made, fed)
        ends = [result.op.name for outputs, state in made.values()
                for result in (outputs, *tf.contrib.framework.nest.flatten(state))]  # fmt: skip
        frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ends)
    (HERE / (name + ".pb")).write_bytes(frozen.SerializeToString())
    truth.update({name + "/" + one.op.name: value for one, value in fed.items()})
    for direction, (outputs, state) in values.items():
        c, m = state if isinstance(state, tuple) else (None, state)
        truth.update({name + "/" + direction + "_outputs": outputs,
                      name + "/" + direction + "_m": m})  # fmt: skip
        if c is not None:
            truth[name + "/" + direction + "_c"] = c
np.savez_compressed(str(HERE / "truth.npz"), **truth)
