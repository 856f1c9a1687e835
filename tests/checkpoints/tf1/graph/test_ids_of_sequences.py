"""An id a sequence (a speaker, a user) is no length, and a run does not give it."""

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import UnsupportedCellError

RNG = np.random.default_rng(8)
X = RNG.normal(size=(3, 6, 3)).astype(np.float32)


def speakers(tf, tf1, width):
    who = tf1.v1.placeholder("int32", (None,), "speaker")
    return tf.nn.embedding_lookup(tf1.v1.get_variable("speakers", (9, width)), who)


def test_a_layer_behind_another_input_takes_its_own_and_is_not_fed_lengths_for_it(tf, tf1):
    def build():
        x = tf1.placeholder()
        beside = tf.tile(speakers(tf, tf1, 2)[:, None], (1, tf.shape(x)[1], 1))
        read = tf.tanh(tf.concat([x, beside], -1) * 2)
        outputs, _ = tf1.v1.nn.dynamic_rnn(tf1.cell(4), read, tf1.lengths(), dtype="float32")
        return outputs, read

    who, lengths = np.int32([1, 0, 2]), np.int32([6, 4, 2])
    prefix, (outputs, read) = tf1.save(build, {"x": X, "speaker": who, "lengths": lengths})
    with pytest.raises(rnnscope.errors.RnnscopeError, match="computed with 'speaker'"):
        rnnscope.run(prefix, X, lengths=lengths, model_input=True)
    with rnnscope.run(prefix, read, lengths=lengths) as trace:
        (layer,) = trace.layers.values()
        np.testing.assert_allclose(layer.outputs[...], outputs, atol=1e-6)


def test_a_state_that_is_looked_up_is_refused_by_what_it_needs(tf, tf1):
    def build():
        m = speakers(tf, tf1, 4)
        start = tf1.state(tf.zeros_like(m), m)
        return tf1.v1.nn.dynamic_rnn(tf1.cell(4), tf1.placeholder(), initial_state=start)[0]

    prefix, _ = tf1.save(build)
    with pytest.raises(UnsupportedCellError, match="needs the value of 'speaker'"):
        rnnscope.run(prefix, X)
