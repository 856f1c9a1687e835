"""Make tests/data/legacy_seq2seq with TensorFlow 1.15.5 (Python 3.7): a list of ids, one a step.

embedding_rnn_seq2seq as a frozen graph, fed with the right words (taught) and with its own last
word (fed_back). truth.npz holds the ids of encoder and decoder, and the decoder's last state.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent / "legacy_seq2seq"
rng = np.random.RandomState(7)
SOURCE, TARGET = rng.randint(0, 9, (3, 6)), rng.randint(0, 7, (3, 4))

truth = {"source": SOURCE, "target": TARGET}
for name, cell in (("taught", tf.nn.rnn_cell.BasicLSTMCell), ("fed_back", tf.nn.rnn_cell.GRUCell)):
    with tf.Graph().as_default() as graph, tf.Session() as session:
        source = [tf.placeholder(tf.int32, (None,), f"source{step}") for step in range(6)]
        target = [tf.placeholder(tf.int32, (None,), f"target{step}") for step in range(4)]
        outputs, state = tf.contrib.legacy_seq2seq.embedding_rnn_seq2seq(
            source, target, cell(5), 9, 7, 3, feed_previous=name == "fed_back"
        )
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            variable.load(rng.normal(scale=0.7, size=variable.shape).astype("float32"), session)
        fed = {one: SOURCE[:, step] for step, one in enumerate(source)}
        fed.update({one: TARGET[:, step] for step, one in enumerate(target)})
        states = {"c": state[0], "m": state[1]} if isinstance(state, tuple) else {"m": state}
        for kept, value in session.run(states, fed).items():
            truth[name + "_" + kept] = value
        ends = [one.op.name for one in (*outputs, *states.values())]
        frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ends)
    (HERE / (name + ".pb")).write_bytes(frozen.SerializeToString())
np.savez_compressed(str(HERE / "truth.npz"), **truth)
