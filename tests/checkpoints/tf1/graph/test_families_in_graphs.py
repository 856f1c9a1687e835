"""Cells of every family in graphs that TensorFlow builds and saves here, against its session.

Each cell repeats the ops of a class of TensorFlow 1 or tf.keras: what it splits, joins and when.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnscope.checkpoints.tf1.saver import read_saver
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import CheckpointError
from rnnscope.model.signal import Signal

RNG = np.random.default_rng(31)
X = RNG.normal(size=(3, 6, 3)).astype(np.float32)
LENGTHS = np.array([6, 4, 1], np.int32)
MASK = np.arange(6) < LENGTHS[:, None]
UNITS = 4


class Cell:
    """A cell around ``step(cell, x, state) -> (output, state)``; state is one array or (c, m)."""

    def __init__(self, tf, step, *, scope="some_cell", states=1, output=UNITS):
        self.tf, self.step, self.scope, self.output_size = tf, step, scope, output
        self.state_size = UNITS if states == 1 else (UNITS,) * states

    def zero_state(self, batch, dtype):
        zeros = self.tf.zeros([batch, UNITS], dtype)
        return zeros if isinstance(self.state_size, int) else tuple(zeros for _ in self.state_size)

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        return self.zero_state(batch_size, dtype)

    def __call__(self, x, state, scope=None):
        with self.tf.compat.v1.variable_scope(self.scope):
            return self.step(self, x, state)

    def var(self, name, *shape):
        # Far from zero and different everywhere, so that a swapped gate cannot hide.
        v1 = self.tf.compat.v1
        initializer = v1.random_normal_initializer(stddev=0.6, seed=len(name))
        return v1.get_variable(name, shape, initializer=initializer)

    def linear(self, parts, width, name="kernel", bias="bias"):
        tf = self.tf
        joined = tf.concat(parts, 1)
        kernel = self.var(name, joined.shape[1], width)
        return tf.nn.bias_add(tf.matmul(joined, kernel), self.var(bias, width))


def gru_1_15(cell, x, m):
    """GRUCell of 1.15: the sigmoid comes before the split."""
    tf = cell.tf
    r, u = tf.split(tf.sigmoid(cell.linear([x, m], 8, "gates/kernel", "gates/bias")), 2, 1)
    n = tf.tanh(cell.linear([x, r * m], 4, "candidate/kernel", "candidate/bias"))
    new = u * m + (1 - u) * n
    return new, new


def gru_0_12(cell, x, m):
    """GRUCell of 0.12: split first, and other names."""
    tf = cell.tf
    z = cell.linear([x, m], 8, "Gates/Linear/Matrix", "Gates/Linear/Bias")
    r, u = (tf.sigmoid(part) for part in tf.split(z, 2, 1))
    n = tf.nn.relu(cell.linear([x, r * m], 4, "Candidate/Linear/Matrix", "Candidate/Linear/Bias"))
    new = u * m + (1 - u) * n
    return new, new


def gru_keras_after(cell, x, m):
    """GRUCell of tf.keras with reset_after: two rows of biases, gates z, r, n."""
    tf = cell.tf
    of_x, of_m = tf.unstack(cell.var("bias", 2, 12))
    z_x = tf.nn.bias_add(tf.matmul(x, cell.var("kernel", 3, 12)), of_x)
    z_m = tf.nn.bias_add(tf.matmul(m, cell.var("recurrent_kernel", 4, 12)), of_m)
    (x_z, x_r, x_n), (m_z, m_r, m_n) = tf.split(z_x, 3, 1), tf.split(z_m, [4, 4, -1], 1)
    z, r = tf.sigmoid(x_z + m_z), tf.sigmoid(x_r + m_r)
    new = z * m + (1 - z) * tf.tanh(x_n + r * m_n)
    return new, new


def gru_keras_before(cell, x, m):
    """GRUCell of tf.keras that resets first: slices of the recurrent kernel, hard sigmoid."""
    tf = cell.tf
    z_x = tf.nn.bias_add(tf.matmul(x, cell.var("kernel", 3, 12)), cell.var("bias", 12))
    x_z, x_r, x_n = tf.split(z_x, 3, 1)
    recurrent = cell.var("recurrent_kernel", 4, 12)
    m_z, m_r, _ = tf.split(tf.matmul(m, recurrent[:, :8]), [4, 4, -1], 1)
    z, r = (tf.clip_by_value(s * 0.2 + 0.5, 0.0, 1.0) for s in (x_z + m_z, x_r + m_r))
    n = tf.tanh(x_n + tf.matmul(r * m, recurrent[:, 8:]))
    new = z * m + (1 - z) * n
    return new, new


def gru_block(cell, x, m):
    out = cell.tf.raw_ops.GRUBlockCell(
        x=x, h_prev=m, w_ru=cell.var("gates/kernel", 7, 8), w_c=cell.var("candidate/kernel", 7, 4),
        b_ru=cell.var("gates/bias", 8), b_c=cell.var("candidate/bias", 4),
    )  # fmt: skip
    return out.h, out.h


def simple(cell, x, m):
    new = cell.tf.tanh(cell.linear([x, m], 4))
    return new, new


def simple_keras(cell, x, m):
    tf = cell.tf
    of_x = tf.nn.bias_add(tf.matmul(x, cell.var("kernel", 3, 4)), cell.var("bias", 4))
    new = tf.nn.relu(of_x + tf.matmul(m, cell.var("recurrent_kernel", 4, 4)))
    return new, new


def lstm_keras_slices(cell, x, state):
    """LSTMCell of tf.keras, implementation 1: a product for each gate."""
    tf, (c, m) = cell.tf, state
    kernels = tf.split(cell.var("kernel", 3, 16), 4, 1)
    biases = tf.split(cell.var("bias", 16), 4, 0)
    recurrent = cell.var("recurrent_kernel", 4, 16)
    i, f, g, o = (
        tf.nn.bias_add(tf.matmul(x, kernel), bias)
        + tf.matmul(m, recurrent[:, 4 * gate : 4 * gate + 4])
        for gate, (kernel, bias) in enumerate(zip(kernels, biases, strict=True))
    )
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    m = tf.sigmoid(o) * tf.tanh(c)
    return m, (c, m)


def lstm_keras_sum(cell, x, state):
    """LSTMCell of tf.keras, implementation 2: the sum of both products is split."""
    tf, (c, m) = cell.tf, state
    z = tf.matmul(x, cell.var("kernel", 3, 16))
    z = tf.nn.bias_add(z + tf.matmul(m, cell.var("recurrent_kernel", 4, 16)), cell.var("bias", 16))
    i, f, g, o = tf.split(z, 4, 1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    m = tf.sigmoid(o) * tf.tanh(c)
    return m, (c, m)


def coupled(cell, x, state):
    tf, (c, m) = cell.tf, state
    j, f, o = tf.split(cell.linear([x, m], 12, "W_0", "B"), 3, 1)
    f = tf.sigmoid(f + 0.7 + cell.var("W_F_diag", 4) * c)
    c = f * c + (1 - f) * tf.tanh(j)
    m = tf.sigmoid(o + cell.var("W_O_diag", 4) * c) * tf.tanh(c)
    return m, (c, m)


def layer_norm(cell, x, state):
    tf, (c, m) = cell.tf, state

    def norm(z, name):
        mean, variance = tf.nn.moments(z, [1], keepdims=True)
        gamma, beta = cell.var(f"{name}/gamma", 4), cell.var(f"{name}/beta", 4)
        return tf.nn.batch_normalization(z, mean, variance, beta, gamma, 1e-12)

    z = tf.matmul(tf.concat([x, m], 1), cell.var("kernel", 7, 16))
    names = ("input", "transform", "forget", "output")
    i, j, f, o = map(norm, tf.split(z, 4, 1), names)
    c = norm(c * tf.sigmoid(f + 0.7) + tf.sigmoid(i) * tf.tanh(j), "state")
    m = tf.tanh(c) * tf.sigmoid(o)
    return m, (c, m)


FAMILIES = {
    # name: (step, states, kind, stored gate order, options that the graph must tell)
    "GRU of 1.15": (gru_1_15, 1, "gru", "r z n", {"reset_after": False}),
    "GRU of 0.12": (gru_0_12, 1, "gru", "r z n", {"activation": "relu"}),
    "Keras GRU, reset after": (gru_keras_after, 1, "gru", "z r n", {"reset_after": True}),
    "Keras GRU, reset before": (
        gru_keras_before, 1, "gru", "z r n",
        {"reset_after": False, "recurrent_activation": "hard_sigmoid"},
    ),
    "GRUBlockCell": (gru_block, 1, "gru", "r z n", {"recurrent_activation": "sigmoid"}),
    "BasicRNNCell": (simple, 1, "simple_rnn", "", {"activation": "tanh"}),
    "Keras SimpleRNN": (simple_keras, 1, "simple_rnn", "", {"activation": "relu"}),
    "Keras LSTM in slices": (lstm_keras_slices, 2, "lstm", "i f g o", {"forget_bias": 0.0}),
    "Keras LSTM in a sum": (lstm_keras_sum, 2, "lstm", "i f g o", {"forget_bias": 0.0}),
    "coupled": (coupled, 2, "coupled_lstm", "g f o", {"forget_bias": 0.7}),
    "layer norm": (layer_norm, 2, "layer_norm_lstm", "i g f o", {"forget_bias": 0.7,
                                                                 "epsilon": 1e-12}),
}  # fmt: skip


def only_layer(prefix):
    (node,) = read_saver(prefix).network.recurrent
    return node.layer


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6 * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_family_in_dynamic_rnn(tf, tf1, control_flow, family):
    step, states, kind, order, options = family

    def build():
        cell = Cell(tf, step, states=states)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), tf1.lengths(), dtype="float32")

    prefix, (outputs, final) = tf1.save(build, {"x": X, "lengths": LENGTHS})
    layer = only_layer(prefix)
    assert (layer.cell.kind, layer.cell.stored_gate_order) == (kind, order)
    assert options.items() <= {name: o.value for name, o in layer.cell.options.items()}.items()
    assert {option.origin for _, option in layer.cell.options.items()} == {"graph"}
    assert str(layer.lengths.value) == "sequence_length from placeholder 'lengths'"
    found = run_layer(layer, X, MASK)
    close(found.outputs, outputs)
    final = final if states == 2 else (final,)
    for name, theirs in zip(("c", "m")[-states:], final, strict=True):
        close(found.final[name], theirs)


@pytest.mark.parametrize("step", [gru_1_15, simple], ids=["GRU", "simple"])
def test_an_unrolled_cell_is_one_layer(tf, tf1, step):
    def build():
        steps = tf.unstack(tf1.placeholder(), axis=1)
        outputs, _ = tf1.v1.nn.static_rnn(Cell(tf, step), steps, dtype="float32")
        return tf.stack(outputs, 1)

    prefix, outputs = tf1.save(build, {"x": X})
    close(run_layer(only_layer(prefix), X).outputs, outputs)


def test_a_dense_layer_on_joined_inputs_is_no_simple_cell(tf, tf1):
    """The same expression, but its result is never its own input."""

    def build():
        cell = Cell(tf, simple)
        return cell(tf1.placeholder()[:, 0], tf1.v1.placeholder("float32", [None, 4]))[0]

    prefix, _ = tf1.save(build)
    assert not read_saver(prefix).network.recurrent


@pytest.mark.parametrize("bounded", [True, False], ids=["lengths", "no lengths"])
def test_a_fused_sequence(tf, tf1, bounded):
    """LSTMBlockFusedCell: time-major, c clipped by the op's own default, outputs masked after."""

    def build():
        with tf1.v1.variable_scope("lstm_fused_cell"):
            cell = Cell(tf, None)
            kernel, bias = cell.var("kernel", 7, 16), cell.var("bias", 16)
        x, lengths = tf.transpose(tf1.placeholder(), [1, 0, 2]), tf1.lengths()
        zeros = tf.zeros([tf.shape(x)[1], 4])
        last = tf.cast(tf.reduce_max(lengths), "int64") if bounded else tf.constant(6, "int64")
        out = tf.raw_ops.BlockLSTM(
            seq_len_max=last, x=x, cs_prev=zeros, h_prev=zeros, w=kernel, b=bias,
            wci=bias[:4], wcf=bias[:4], wco=bias[:4], cell_clip=0.4,
        )  # fmt: skip
        if not bounded:
            return tf.transpose(out.h, [1, 0, 2])
        mask = tf.transpose(tf.sequence_mask(lengths, 6, tf.float32), [1, 0])
        return tf.transpose(out.h * tf.tile(tf.expand_dims(mask, -1), [1, 1, 4]), [1, 0, 2])

    prefix, outputs = tf1.save(build, {"x": X, "lengths": LENGTHS})
    layer = only_layer(prefix)
    options = {name: option.value for name, option in layer.cell.options.items()}
    assert (options["cell_clip"], options["forget_bias"]) == (0.4, 1.0)
    assert layer.padding.value == ("zeros" if bounded else "none")
    close(run_layer(layer, X, MASK).outputs, outputs)


def test_a_fused_op_with_an_input_too_many_is_damage(tf, tf1):
    def build():
        kernel, bias = Cell(tf, None).var("kernel", 7, 16), Cell(tf, None).var("bias", 16)
        x = tf1.placeholder()
        zeros = tf.zeros([tf.shape(x)[0], 4])
        return tf.raw_ops.LSTMBlockCell(
            x=x[:, 0], cs_prev=zeros, h_prev=zeros, w=kernel, b=bias,
            wci=bias[:4], wcf=bias[:4], wco=bias[:4], name="step",
        ).h  # fmt: skip

    prefix, _ = tf1.save(build, {"x": X})
    path = Path(f"{prefix}.meta")
    meta = tf.compat.v1.MetaGraphDef.FromString(path.read_bytes())
    (node,) = (node for node in meta.graph_def.node if node.op == "LSTMBlockCell")
    node.input.append(node.input[0])
    path.write_bytes(meta.SerializeToString())
    with pytest.raises(
        CheckpointError, match="another number of inputs than its operator"
    ) as error:
        read_saver(prefix)
    assert (error.value.expected, error.value.found) == ("8 inputs", "9")


def wrap(step, after, output=UNITS):
    """A step whose output goes through ``after(cell, output, x)``; the state does not."""

    def wrapped(cell, x, state):
        m, new = step(cell, x, state)
        return after(cell, m, x), new

    return wrapped, output


def output_projection(cell, m, x):
    return cell.linear([m], 2, "projection_wrapper/kernel", "projection_wrapper/bias")


@pytest.mark.parametrize("step", [gru_1_15, lstm_keras_sum], ids=["GRU", "LSTM"])
def test_a_projection_wrapper_makes_outputs_of_m(tf, tf1, control_flow, step):
    wrapped, width = wrap(step, output_projection, 2)
    states = 2 if step is lstm_keras_sum else 1

    def build():
        cell = Cell(tf, wrapped, output=width, states=states)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), tf1.lengths(), dtype="float32")

    prefix, (outputs, final) = tf1.save(build, {"x": X, "lengths": LENGTHS})
    layer = only_layer(prefix)
    found = run_layer(layer, X, MASK)
    assert layer.output_size == 2
    close(found.outputs, outputs)
    close(found.final["m"], final[1] if states == 2 else final)
    assert found.m.shape[-1] == UNITS


def test_a_residual_wrapper_adds_the_cells_own_x(tf, tf1):
    x4 = np.concatenate([X, X[..., :1]], axis=2)
    wrapped, _ = wrap(gru_1_15, lambda cell, m, x: m + x)

    def build():
        x = tf1.placeholder(features=4)
        return tf1.v1.nn.dynamic_rnn(Cell(tf, wrapped), x, tf1.lengths(), dtype="float32")

    prefix, (outputs, final) = tf1.save(build, {"x": x4, "lengths": LENGTHS})
    found = run_layer(only_layer(prefix), x4, MASK)
    close(found.outputs, outputs)
    close(found.final["m"], final)
    # Past the length the framework's zeros replace m + x.
    assert not found.outputs[2, 1:].any()


def cudnn_meta(tf, tf1, prefix, ways=1):
    """CudnnLSTM's graph in the place of the saved one: no processor here runs its op."""
    v1 = tf1.v1
    with tf.Graph().as_default() as graph:
        x = tf1.placeholder()
        with v1.variable_scope("cudnn"):
            zeros = tf.zeros([2 * ways, tf.shape(x)[0], 4])
            tf.raw_ops.CudnnRNN(
                input=tf.transpose(x, [1, 0, 2]), input_h=zeros, input_c=zeros,
                params=v1.get_variable("opaque_kernel", [99]),
                direction=("unidirectional", "bidirectional")[ways - 1],
            )  # fmt: skip
        v1.train.export_meta_graph(f"{prefix}.meta", graph=graph, clear_devices=True)


CUDNN = {
    1: "cudnn/rnn/multi_rnn_cell/cell_{layer}/cudnn_compatible_lstm_cell",
    2: "cudnn/stack_bidirectional_rnn/cell_{layer}/bidirectional_rnn/{way}/"
    "cudnn_compatible_lstm_cell",
}


@pytest.mark.parametrize("ways", [1, 2], ids=["one direction", "two directions"])
def test_canonical_cudnn_parameters_are_layers(tf, tf1, ways):
    """Two layers under one op; the truth is what the compatible cells compute."""

    def lstm(cell, x, state):
        c, m = state
        i, g, f, o = tf.split(cell.linear([x, m], 16), 4, 1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        m = tf.sigmoid(o) * tf.tanh(c)
        return m, (c, m)

    def build():
        below, told = tf1.placeholder(), []
        for layer in (0, 1):
            found = []
            for way, turn in [("fw", tf.identity), ("bw", lambda z: tf.reverse(z, [1]))][:ways]:
                cell = Cell(tf, lstm, scope=CUDNN[ways].format(layer=layer, way=way), states=2)
                made, state = [], cell.zero_state(3, "float32")
                for x in tf.unstack(turn(below), axis=1):
                    with tf1.v1.variable_scope("", reuse=tf1.v1.AUTO_REUSE):
                        m, state = cell(x, state)
                    made.append(m)
                found.append(turn(tf.stack(made, 1)))
                told.append(found[-1])
            below = tf.concat(found, 2)
        return told

    prefix, outputs = tf1.save(build, {"x": X})
    cudnn_meta(tf, tf1, prefix, ways)
    network = read_saver(prefix).network
    signals, found = {"x": X}, []
    for node in network.nodes:
        reads = [signals[name] for name in node.reads]
        if node.recurrent:
            assert node.recurrent.cell.source_class == "CudnnLSTM"
            signals[node.name] = run_layer(node.recurrent, reads[0]).outputs
            found.append(signals[node.name])
        else:
            signals[node.name] = node.layer(*map(Signal, reads)).values
    assert len(found) == len(outputs)
    for ours, theirs in zip(found, outputs, strict=True):
        close(ours, theirs)


def test_opaque_cudnn_parameters_are_named(tf, tf1):
    def build():
        with tf1.v1.variable_scope("cudnn"):
            return tf1.v1.get_variable("opaque_kernel", [99])

    prefix, _ = tf1.save(build)
    cudnn_meta(tf, tf1, prefix)
    checkpoint = read_saver(prefix)
    assert not checkpoint.network.recurrent
    (left,) = checkpoint.left_out
    assert left.name == "cudnn/opaque_kernel"
    assert "whose layout only cuDNN knows" in left.reason


def test_cells_that_are_not_built_are_named_and_the_others_run(tf, tf1):
    def other(cell, x, m):
        new = cell.tf.sin(cell.linear([x, m], 4)) * m * cell.tf.random.normal([])
        return new, new

    def build():
        x = tf1.placeholder()
        first = tf1.v1.nn.dynamic_rnn(Cell(tf, gru_1_15, scope="gru_cell"), x, dtype="float32")
        with tf1.v1.variable_scope("b"):
            cell = Cell(tf, other, scope="nas_cell")
            tf1.v1.nn.dynamic_rnn(cell, x, dtype="float32")
        return first[0]

    prefix, outputs = tf1.save(build, {"x": X})
    checkpoint = read_saver(prefix)
    (node,) = checkpoint.network.recurrent
    assert node.layer.cell.source_class == "GRUCell"
    close(run_layer(node.layer, X).outputs, outputs)
    reasons = {entry.name: entry.reason for entry in checkpoint.left_out}
    assert reasons["b/rnn/nas_cell/kernel"] == "NASCell is a cell that rnnscope does not compute"
