"""Cells as users write them: an LSTM with one twist, often under the stock cell's names."""

from __future__ import annotations

import tensorflow as tf

core = tf.nn.rnn_cell
as_written = tf.autograph.experimental.do_not_convert
sigmoid, tanh = tf.sigmoid, tf.tanh

# What is twisted, and how.
TWISTS = {
    "none": "the equations of BasicLSTMCell, written by hand",
    "zoneout": "c and m keep a tenth of what they were; the output is the new m",
    "zoneout_same": "c and m keep a tenth of what they were; the output is the mixed m",
    "decay": "c_prev is scaled before it is used",
    "decay_learned": "c_prev is scaled by a learned vector",
    "mask_carry": "the state stays where the last column of x is not positive",
    "multiplicative": "m_prev is multiplied by a product of x (mLSTM)",
    "norm_output": "the output is m, normalised over its units",
    "norm_state": "m itself is normalised",
    "residual_c": "c is added to a part of c_prev twice",
    "i_f_swapped": "input and forget gate stand in each other's place",
    "keras_order": "gates are stored i, f, g, o",
    "o_from_c_prev": "the output gate looks at c_prev",
    "o_from_c": "the output gate looks at the new c, unweighted",
    "relu_of_sum": "g is relu of two halves' sum",
    "no_tanh": "m = o * c",
    "coupled": "f = 1 - i",
    "minus": "c = f * c_prev - i * g",
    "clip_after": "the state carries c clipped, m was made of the unclipped",
    "scaled_m": "the state carries half of m, the output is whole",
    "gate_scale": "gates are sigmoid of twice their sum",
    "hard_gates": "gates are piecewise linear",
    "x_gate": "m is gated by the mean of x",
    "no_recurrence": "m_prev is not read (quasi-recurrent)",
    "old_m_out": "the output is m of the step before",
    "c_out": "the output is c",
    "two_biases": "forget bias is a number, input gate has one, too",
    "max_c": "c = max(c_prev, f * c_prev + i * g)",
    "softmax_gates": "i and f are a softmax over the two",
    "stop": "tf.stop_gradient and tf.identity stand between, nothing else",
    "peephole_scalar": "i and f look at the mean of c_prev",
    "cubed": "g is tanh cubed",
}


class Twisted(core.RNNCell):
    """An LSTM cell with one twist; kernel and bias are named as the stock cell's.

    Parameters
    ----------
    units : int
    twist : str
        Of `TWISTS`.
    stock_name : bool
        Whether the scope is that of BasicLSTMCell.
    """

    def __init__(self, units, twist, stock_name=False):
        super().__init__(name="basic_lstm_cell" if stock_name else None)
        self.units, self.twist = units, twist

    @property
    def state_size(self):
        return core.LSTMStateTuple(self.units, self.units)

    @property
    def output_size(self):
        return self.units

    def variable(self, name, shape):
        return tf.compat.v1.get_variable(name, shape, dtype=self.kind)

    @as_written
    def call(self, x, state):
        """One step."""
        c_prev, m_prev = state
        twist, units = self.twist, self.units
        self.kind = x.dtype
        width = x.shape[-1].value
        if twist == "decay":
            c_prev = c_prev * 0.7
        if twist == "decay_learned":
            c_prev = c_prev * sigmoid(self.variable("decay", [units]))
        if twist == "multiplicative":
            m_prev = tf.matmul(x, self.variable("wmx", [width, units])) * tf.matmul(
                m_prev, self.variable("wmh", [units, units])
            )
        read = x if twist == "no_recurrence" else tf.concat([x, m_prev], 1)
        kernel = self.variable("kernel", [read.shape[-1].value, 4 * units])
        z = tf.nn.bias_add(tf.matmul(read, kernel), self.variable("bias", [4 * units]))
        i, g, f, o = tf.split(z, 4, axis=1)
        if twist == "keras_order":
            i, f, g, o = tf.split(z, 4, axis=1)
        if twist == "i_f_swapped":
            i, f = f, i
        if twist == "peephole_scalar":
            mean = tf.reduce_mean(c_prev, 1, keepdims=True)
            i, f = i + mean, f + mean
        if twist == "o_from_c_prev":
            o = o + self.variable("w_o_diag", [units]) * c_prev
        gate = sigmoid
        if twist == "gate_scale":
            gate = lambda z: sigmoid(2 * z)  # noqa: E731
        if twist == "hard_gates":
            gate = lambda z: tf.clip_by_value(0.2 * z + 0.5, 0.0, 1.0)  # noqa: E731
        if twist == "softmax_gates":
            both = tf.nn.softmax(tf.stack([i, f], -1))
            i, f = both[:, :, 0], both[:, :, 1]
        else:
            i = gate(i + 0.5 if twist == "two_biases" else i)
            f = 1 - i if twist == "coupled" else gate(f + 1.0)
        g = tf.nn.relu(g + tf.reverse(g, [1])) if twist == "relu_of_sum" else tanh(g)
        if twist == "cubed":
            g = g * g * g
        c = f * c_prev - i * g if twist == "minus" else f * c_prev + i * g
        if twist == "residual_c":
            c = c + 0.2 * c_prev
        if twist == "max_c":
            c = tf.maximum(c_prev, c)
        if twist == "stop":
            c = tf.identity(tf.stop_gradient(c), "kept")
        o = gate(o + c) if twist == "o_from_c" else gate(o)
        m = o * c if twist == "no_tanh" else o * tanh(c)
        if twist == "x_gate":
            m = m * sigmoid(tf.reduce_mean(x, 1, keepdims=True))
        if twist == "norm_state":
            m = self.normalised(m)
        return self.leaving(x, state, c, m)

    def normalised(self, m):
        mean, variance = tf.nn.moments(m, [1], keepdims=True)
        gamma, beta = self.variable("gamma", [self.units]), self.variable("beta", [self.units])
        return tf.nn.batch_normalization(m, mean, variance, beta, gamma, 1e-3)

    def leaving(self, x, state, c, m):
        """Output and state: what happens to them after the equations."""
        c_prev, m_prev = state
        twist, output = self.twist, m
        if twist in ("zoneout", "zoneout_same"):
            c, m = 0.9 * c + 0.1 * c_prev, 0.9 * m + 0.1 * m_prev
            output = m if twist == "zoneout_same" else output
        if twist == "mask_carry":
            keep = tf.cast(x[:, -1:] > 0, x.dtype)
            c, m = keep * c + (1 - keep) * c_prev, keep * m + (1 - keep) * m_prev
            output = m
        if twist == "norm_output":
            output = self.normalised(m)
        if twist == "clip_after":
            c = tf.clip_by_value(c, -0.2, 0.2)
        if twist == "scaled_m":
            m = 0.5 * m
        if twist == "old_m_out":
            output = m_prev
        if twist == "c_out":
            output = c
        return output, core.LSTMStateTuple(c, m)
