"""Encoders and decoders in graphs that TensorFlow builds and saves here, against the session.

The decoders are those of TensorFlow's legacy_seq2seq: unrolled, a loop function between the steps.
"""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.checkpoints.tf1.saver import read_saver

RNG = np.random.default_rng(7)
ENCODED = RNG.normal(size=(3, 5, 3)).astype(np.float32)
DECODER_INPUT = RNG.normal(size=(3, 4, 3)).astype(np.float32)
LENGTHS = np.array([5, 3, 1], np.int32)
IDS = RNG.integers(0, 6, size=(3, 5)).astype(np.int32)
DECODED_IDS = RNG.integers(0, 6, size=(3, 4)).astype(np.int32)
FEED = {"encoder": ENCODED, "decoder": DECODER_INPUT}


class Seq2seq:
    """What the functions of legacy_seq2seq do, with the cells of these tests."""

    def __init__(self, tf1):
        self.tf1, self.tf, self.v1 = tf1, tf1.tf, tf1.v1

    def placeholder(self, name, steps, features=3, dtype="float32"):
        shape = [None, steps] if dtype == "int32" else [None, steps, features]
        return self.v1.placeholder(dtype, shape, name)

    def both(self):
        return self.placeholder("encoder", 5), self.placeholder("decoder", 4)

    def variable(self, name, *shape):
        initializer = self.v1.random_normal_initializer(stddev=0.7, seed=len(name))
        return self.v1.get_variable(name, shape, initializer=initializer)

    def unroll(self, cell, inputs, state, scope, loop_function=None):
        """`rnn_decoder`; what each step read, its outputs, all its states, and the last one."""
        read, outputs, states = [], [], []
        with self.v1.variable_scope(scope, reuse=self.v1.AUTO_REUSE):
            for given in inputs:
                fed_back = loop_function is not None and outputs
                x = loop_function(outputs[-1]) if fed_back else given
                output, state = cell(x, state)
                read.append(x)
                outputs.append(output)
                states.append(state)
        return read, outputs, states, state

    def encode(self, cell, x, scope="rnn"):
        steps = self.tf.unstack(x, axis=1)
        zeros = cell.zero_state(self.tf.shape(steps[0])[0], "float32")
        return self.unroll(cell, steps, zeros, scope)

    def decode(self, cell, x, state, loop_function=None, scope="rnn_decoder"):
        return self.unroll(cell, self.tf.unstack(x, axis=1), state, scope, loop_function)

    def told(self, encoded, decoded):
        """What to fetch: every state of both, by step; and what the decoder read."""
        stack = lambda steps: self.tf.stack(steps, axis=1)  # noqa: E731
        flat = lambda states: [  # noqa: E731
            stack(steps)
            for steps in zip(*(self.tf.nest.flatten(state) for state in states), strict=True)
        ]
        return flat(encoded[2]), flat(decoded[2]), stack(decoded[0])


@pytest.fixture
def seq2seq(tf1):
    return Seq2seq(tf1)


@pytest.fixture
def trace_of(rnnscope, read_trace, tmp_path):
    """`trace_of(prefix, feed, *flags)`: run as a user would; the trace, and what was printed."""

    def run(prefix, feed, *flags):
        inputs, trace = tmp_path / "feed.npz", tmp_path / "trace.h5"
        np.savez(inputs, **feed)
        result = rnnscope(
            "run", prefix, inputs, "--inputs", "encoder", "-o", trace, "--force",
            "--decoder-inputs", f"{inputs}::decoder", *flags,
        )  # fmt: skip
        assert (result.code, result.stderr) == (0, ""), result.stdout + result.stderr
        return read_trace(trace), result.stdout

    return run


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6 * max(1, np.abs(theirs).max()))


def assert_layer(trace, name, c, m):
    close(trace[f"{name}/c"], c)
    close(trace[f"{name}/m"], m)


def assert_handed(trace, decoder, encoder):
    for state in "cm":
        assert np.array_equal(
            trace[f"{decoder}/initial/{state}"], trace[f"{encoder}/final/{state}"]
        )


def loop_functions(seq2seq, kind, output=4, features=3):
    """The loop functions that graphs have, and the words for them."""
    tf, var = seq2seq.tf, seq2seq.variable
    if kind == "identity":
        return lambda previous: previous
    if kind == "linear":
        kernel, bias = var("proj_w", output, features), var("proj_b", features)
        return lambda previous: tf.matmul(previous, kernel) + bias
    if kind == "linear of xw_plus_b":
        kernel, bias = var("proj_w", output, features), var("proj_b", features)
        return lambda previous: tf.compat.v1.nn.xw_plus_b(previous, kernel, bias)
    if kind == "argmax":
        table = var("embedding", output, features)
        return lambda previous: tf.nn.embedding_lookup(table, tf.argmax(previous, 1))
    kernel, bias, table = var("w", output, 6), var("b", 6), var("embedding", 6, features)
    return lambda previous: tf.nn.embedding_lookup(
        table, tf.argmax(tf.matmul(previous, kernel) + bias, 1)
    )


LOOPS = {
    "identity": "identity",
    "linear": "linear:proj_w,proj_b",
    "linear of xw_plus_b": "linear:proj_w,proj_b",
    "argmax": "argmax:embedding",
    "argmax of a projection": "argmax:w,b,embedding",
}


@pytest.mark.parametrize("kind", [None, *LOOPS])
def test_a_decoder_starts_from_the_encoder_and_feeds_itself(seq2seq, trace_of, kind):
    units = 3 if kind == "identity" else 4

    def build():
        x, y = seq2seq.both()
        loop = loop_functions(seq2seq, kind, units) if kind else None
        encoded = seq2seq.encode(seq2seq.tf1.cell(units), x)
        decoded = seq2seq.decode(seq2seq.tf1.cell(units, forget_bias=0.4), y, encoded[3], loop)
        return seq2seq.told(encoded, decoded)

    prefix, (encoder, decoder, read) = seq2seq.tf1.save(build, FEED)
    trace, said = trace_of(prefix, FEED)
    assert_layer(trace, "rnn/lstm_cell", *encoder)
    assert_layer(trace, "rnn_decoder/lstm_cell", *decoder)
    assert_handed(trace, "rnn_decoder/lstm_cell", "rnn/lstm_cell")
    node = read_saver(prefix).network.node("rnn_decoder/lstm_cell")
    if kind is None:
        assert node.layer.feedback is None
        assert "rnn_decoder/lstm_cell/inputs" not in trace
        return
    option = node.layer.feedback.option
    assert (option.value, option.origin) == (LOOPS[kind], "graph")
    close(trace["rnn_decoder/lstm_cell/inputs"], read)
    assert LOOPS[kind] in " ".join(said.split())


@pytest.mark.parametrize("fed_back", [False, True])
def test_a_stack_starts_layer_from_layer(seq2seq, trace_of, fed_back):
    def build():
        x, y = seq2seq.both()
        stack = lambda: seq2seq.tf1.stack(  # noqa: E731
            seq2seq.tf1.cell(5), seq2seq.tf1.cell(4, forget_bias=0.2)
        )
        loop = loop_functions(seq2seq, "linear") if fed_back else None
        encoded = seq2seq.encode(stack(), x)
        return seq2seq.told(encoded, seq2seq.decode(stack(), y, encoded[3], loop))

    prefix, (encoder, decoder, read) = seq2seq.tf1.save(build, FEED)
    trace, _ = trace_of(prefix, FEED)
    for number in (0, 1):
        place = slice(2 * number, 2 * number + 2)
        ours = [
            f"{scope}/multi_rnn_cell/cell_{number}/lstm_cell" for scope in ("rnn", "rnn_decoder")
        ]
        assert_layer(trace, ours[0], *encoder[place])
        assert_layer(trace, ours[1], *decoder[place])
        assert_handed(trace, ours[1], ours[0])
    if fed_back:
        close(trace["rnn_decoder/multi_rnn_cell/cell_0/lstm_cell/inputs"], read)


@pytest.mark.parametrize("kind", [None, "linear", "argmax"])
@pytest.mark.parametrize("scopes", [("tied", "tied"), ("rnn", "rnn"), ("", "")])
def test_tied_weights_are_an_encoder_and_a_decoder(seq2seq, trace_of, scopes, kind):
    def build():
        x, y = seq2seq.both()
        loop = loop_functions(seq2seq, kind) if kind else None
        cell = seq2seq.tf1.cell(4)
        if scopes == ("", ""):  # one scope around both, so that only what they read differs
            with seq2seq.v1.variable_scope("tied", reuse=seq2seq.v1.AUTO_REUSE):
                steps = seq2seq.tf.unstack(x, axis=1)
                zeros = cell.zero_state(seq2seq.tf.shape(steps[0])[0], "float32")
                scope = seq2seq.v1.get_variable_scope()
                encoded = seq2seq.unroll(cell, steps, zeros, scope)
                decoded = seq2seq.unroll(
                    cell, seq2seq.tf.unstack(y, axis=1), encoded[3], scope, loop
                )
                return seq2seq.told(encoded, decoded)
        encoded = seq2seq.encode(cell, x, scopes[0])
        return seq2seq.told(encoded, seq2seq.decode(cell, y, encoded[3], loop, scopes[1]))

    prefix, (encoder, decoder, _) = seq2seq.tf1.save(build, FEED)
    first, second = read_saver(prefix).network.recurrent
    assert second.layer.starts_from_layers == (first.name,)
    trace, _ = trace_of(prefix, FEED)
    assert_layer(trace, first.name, *encoder)
    assert_layer(trace, second.name, *decoder)


def test_tied_weights_with_a_placeholder_for_each_step(seq2seq, trace_of):
    """As the functions of legacy_seq2seq take their inputs."""
    v1, feed = seq2seq.v1, {}

    def steps(name, values):
        feed.update({f"{name}{step}": values[:, step] for step in range(values.shape[1])})
        return [v1.placeholder("float32", [None, 3], f"{name}{step}")
                for step in range(values.shape[1])]  # fmt: skip

    def build():
        cell = seq2seq.tf1.cell(4)
        xs, ys = steps("encoder", ENCODED), steps("decoder", DECODER_INPUT)
        zeros = cell.zero_state(seq2seq.tf.shape(xs[0])[0], "float32")
        encoded = seq2seq.unroll(cell, xs, zeros, "tied")
        return seq2seq.told(encoded, seq2seq.unroll(cell, ys, encoded[3], "tied"))

    steps_fed = lambda: feed  # noqa: E731
    with seq2seq.tf.Graph().as_default():
        steps("encoder", ENCODED)
        steps("decoder", DECODER_INPUT)
    prefix, (encoder, decoder, _) = seq2seq.tf1.save(build, steps_fed())
    first, second = read_saver(prefix).network.recurrent
    trace, _ = trace_of(prefix, FEED)
    assert_layer(trace, first.name, *encoder)
    assert_layer(trace, second.name, *decoder)


def dynamic(tf1, cell, x, scope, **given):
    return tf1.v1.nn.dynamic_rnn(tf1.telling(cell), x, dtype="float32", scope=scope, **given)


def split_states(told, units, output):
    return told[..., output : output + units], told[..., output + units :]


@pytest.mark.parametrize("tied", [False, True])
def test_loops_with_lengths_hand_over_the_last_valid_step(seq2seq, trace_of, control_flow, tied):
    tf1 = seq2seq.tf1

    def build():
        x, y, lengths = *seq2seq.both(), tf1.lengths()
        cells = [tf1.cell(4, proj=2, proj_clip=0.4) for _ in range(2)]
        cells[1] = cells[0] if tied else cells[1]
        with tf1.v1.variable_scope("net", reuse=tf1.v1.AUTO_REUSE):
            scopes = ("rnn", "rnn") if tied else ("encoder", "decoder")
            told, final = dynamic(tf1, cells[0], x, scopes[0], sequence_length=lengths)
            return told, dynamic(tf1, cells[1], y, scopes[1], initial_state=final)[0]

    feed = {**FEED, "lengths": LENGTHS}
    prefix, (encoder, decoder) = tf1.save(build, feed)
    first, second = read_saver(prefix).network.recurrent
    assert second.layer.starts_from_layers == (first.name,)
    trace, _ = trace_of(prefix, feed)
    assert_layer(trace, second.name, *split_states(decoder, 4, 2))
    c, m = split_states(encoder, 4, 2)
    rows = np.arange(3)
    close(trace[f"{second.name}/initial/c"], c[rows, LENGTHS - 1])
    close(trace[f"{second.name}/initial/m"], m[rows, LENGTHS - 1])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("way", ["concat", "sum", "forward", "backward"])
def test_a_bidirectional_encoder(seq2seq, trace_of, control_flow, way, packed):
    tf, tf1 = seq2seq.tf, seq2seq.tf1

    def build():
        x, y = seq2seq.both()
        cells = [tf1.cell(4, concat_state=packed, seed=seed) for seed in (1, 5)]
        _, (fw, bw) = tf1.v1.nn.bidirectional_dynamic_rnn(
            *cells, x, tf1.lengths(), dtype="float32", scope="encoder"
        )
        pairs = [tf.split(state, 2, 1) if packed else state for state in (fw, bw)]
        ways = {
            "concat": lambda a, b: tf.concat([a, b], 1),
            "sum": lambda a, b: a + b,
            "forward": lambda a, b: a,
            "backward": lambda a, b: b,
        }
        start = tf1.state(*(ways[way](a, b) for a, b in zip(*pairs, strict=True)))
        cell = tf1.cell(8 if way == "concat" else 4)
        return dynamic(tf1, cell, y, "decoder", initial_state=start)[0]

    feed = {**FEED, "lengths": LENGTHS}
    prefix, decoder = tf1.save(build, feed)
    units = 8 if way == "concat" else 4
    trace, _ = trace_of(prefix, feed)
    assert_layer(trace, "decoder/lstm_cell", *split_states(decoder, units, units))
    layer = read_saver(prefix).network.node("decoder/lstm_cell").layer
    both = ("encoder/fw/lstm_cell", "encoder/bw/lstm_cell")
    one = {"forward": both[:1], "backward": both[1:]}
    assert layer.starts_from_layers == one.get(way, both)


def test_a_packed_stack_is_handed_over_layer_by_layer(seq2seq, trace_of):
    """A MultiRNNCell with state_is_tuple=False: everything lies in one tensor."""
    tf, tf1 = seq2seq.tf, seq2seq.tf1

    def cell(x, state, scope):
        after = []
        with tf1.v1.variable_scope(scope, reuse=tf1.v1.AUTO_REUSE):
            for number, start in enumerate((0, 8)):
                with tf1.v1.variable_scope(f"cell_{number}"):
                    part = tf.slice(state, [0, start], [-1, 8])
                    x, new = tf1.cell(4, concat_state=True)(x, part)
                after.append(new)
        return tf.concat(after, 1)

    def build():
        x, y = seq2seq.both()
        state = tf.zeros([tf.shape(x)[0], 16])
        for step in tf.unstack(x, axis=1):
            state = cell(step, state, "rnn")
        states = []
        for step in tf.unstack(y, axis=1):
            state = cell(step, state, "rnn_decoder")
            states.append(state)
        return tf.stack(states, axis=1)

    prefix, decoder = tf1.save(build, FEED)
    trace, _ = trace_of(prefix, FEED)
    for number in (0, 1):
        states = decoder[..., 8 * number : 8 * number + 8]
        assert_layer(trace, f"rnn_decoder/cell_{number}/lstm_cell", *np.split(states, 2, -1))


def test_a_loop_that_feeds_itself(seq2seq, trace_of, control_flow):
    """tf.while_loop, whose next x is a variable of the loop."""
    tf, tf1 = seq2seq.tf, seq2seq.tf1

    def build():
        x, y = seq2seq.both()
        _, final = tf1.v1.nn.dynamic_rnn(tf1.cell(4), x, dtype="float32", scope="encoder")
        loop, cell = loop_functions(seq2seq, "linear"), tf1.cell(4, forget_bias=0.3)

        def body(step, read, c, m, kept):
            with tf1.v1.variable_scope("decoder", reuse=tf1.v1.AUTO_REUSE):
                output, (c, m) = cell(read, tf1.state(c, m))
            kept = tf.concat([kept, tf.concat([read, c, m], 1)[:, None]], 1)
            return step + 1, loop(output), c, m, kept

        first = y[:, 0]
        kept = tf.zeros([tf.shape(x)[0], 0, 11])
        shapes = [first.shape, final.c.shape, final.h.shape, tf.TensorShape([None, None, 11])]
        return tf1.v1.while_loop(
            lambda step, *_: step < 4, body, [0, first, *final, kept],
            [tf.TensorShape([]), *shapes],
        )[-1]  # fmt: skip

    prefix, kept = tf1.save(build, FEED)
    trace, _ = trace_of(prefix, FEED)
    close(trace["decoder/lstm_cell/inputs"], kept[..., :3])
    assert_layer(trace, "decoder/lstm_cell", kept[..., 3:7], kept[..., 7:])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("fed_back", [False, True])
def test_embedded_ids(seq2seq, trace_of, tied, fed_back):
    """`embedding_rnn_seq2seq` and its tied kin: ids go in, and the largest output is the next."""
    tf, tf1 = seq2seq.tf, seq2seq.tf1

    def build():
        x, y = (seq2seq.placeholder(name, steps, dtype="int32")
                for name, steps in (("encoder", 5), ("decoder", 4)))  # fmt: skip
        tables = [seq2seq.variable(name, 6, 3) for name in ("embedding", "embedding_2")]
        tables[1] = tables[0] if tied else tables[1]
        kernel, bias = seq2seq.variable("w", 4, 6), seq2seq.variable("b", 6)
        scores = lambda previous: tf.matmul(previous, kernel) + bias  # noqa: E731
        loop = lambda previous: tf.nn.embedding_lookup(  # noqa: E731
            tables[1], tf.argmax(scores(previous), 1)
        )
        read = [[tf.nn.embedding_lookup(table, step) for step in tf.unstack(ids, axis=1)]
                for table, ids in zip(tables, (x, y), strict=True)]  # fmt: skip
        cells = [tf1.cell(4), tf1.cell(4)]
        zeros = cells[0].zero_state(tf.shape(x)[0], "float32")
        scopes = ("seq2seq", "seq2seq") if tied else ("seq2seq/rnn", "seq2seq/rnn_decoder")
        encoded = seq2seq.unroll(cells[0], read[0], zeros, scopes[0])
        decoded = seq2seq.unroll(
            cells[1], read[1], encoded[3], scopes[1], loop if fed_back else None
        )
        return seq2seq.told(encoded, decoded)

    feed = {"encoder": IDS, "decoder": DECODED_IDS}
    prefix, (encoder, decoder, _) = tf1.save(build, feed)
    first, second = read_saver(prefix).network.recurrent
    trace, _ = trace_of(prefix, feed, "--ids")
    assert_layer(trace, first.name, *encoder)
    assert_layer(trace, second.name, *decoder)


# What is not read has a name, and never passes for a plain input


def attention_decoder(seq2seq, outputs, y, state, cell):
    """`attention_decoder` of legacy_seq2seq, with dot products for weights."""
    tf = seq2seq.tf
    keys, attended = tf.stack(outputs, axis=1), tf.zeros_like(outputs[0])
    mix = seq2seq.variable("mix", 7, 3)
    states = []
    with seq2seq.v1.variable_scope("decoder", reuse=seq2seq.v1.AUTO_REUSE):
        for step in tf.unstack(y, axis=1):
            _, state = cell(tf.matmul(tf.concat([step, attended], 1), mix), state)
            weights = tf.nn.softmax(tf.einsum("btu,bu->bt", keys, state.h))
            attended = tf.einsum("bt,btu->bu", weights, keys)
            states.append(state)
    return states


def test_attention_is_named_and_the_encoder_runs(seq2seq, rnnscope, read_trace, tmp_path):
    def build():
        x, y = seq2seq.both()
        _, outputs, states, final = seq2seq.encode(seq2seq.tf1.cell(4), x)
        attention_decoder(seq2seq, outputs, y, final, seq2seq.tf1.cell(4))
        return seq2seq.tf.stack([state.c for state in states], axis=1)

    prefix, c = seq2seq.tf1.save(build, FEED)
    inputs = tmp_path / "x.npy"
    np.save(inputs, ENCODED)
    result = rnnscope("run", prefix, inputs, "-o", tmp_path / "t.h5")
    assert result.code == 0
    assert "attention decoder" in " ".join(result.stdout.split())
    trace = read_trace(tmp_path / "t.h5")
    close(trace["rnn/lstm_cell/c"], c)
    assert not any(name.startswith("decoder") for name in trace)
    with_decoder = rnnscope(
        "run", prefix, inputs, "-o", tmp_path / "u.h5", "--decoder-inputs", inputs
    )
    assert with_decoder.code == 2
    assert "attention" in with_decoder.stderr


def test_a_loop_function_that_is_not_read_is_asked_for(seq2seq, rnnscope, trace_of, tmp_path):
    tf = seq2seq.tf

    def build():
        x, y = seq2seq.both()
        kernel = seq2seq.variable("proj_w", 4, 3)
        encoded = seq2seq.encode(seq2seq.tf1.cell(4), x)
        loop = lambda previous: tf.sin(tf.matmul(previous, kernel))  # noqa: E731
        return seq2seq.told(encoded, seq2seq.decode(seq2seq.tf1.cell(4), y, encoded[3], loop))

    prefix, (_, decoder, _) = seq2seq.tf1.save(build, FEED)
    inputs = tmp_path / "x.npz"
    np.savez(inputs, **FEED)
    flags = ("--inputs", "encoder", "--decoder-inputs", f"{inputs}::decoder")
    result = rnnscope("run", prefix, inputs, "-o", tmp_path / "t.h5", *flags)
    assert result.code == 2
    assert "--loop-function" in result.stderr
    trace, _ = trace_of(prefix, FEED, "--loop-function", "linear:proj_w")
    # Another function, but the first step is as it was.
    close(trace["rnn_decoder/lstm_cell/c"][:, 0], decoder[0][:, 0])
    assert np.abs(trace["rnn_decoder/lstm_cell/c"][:, 1] - decoder[0][:, 1]).max() > 1e-3


def test_a_state_that_passes_a_dense_layer_is_no_final_state(seq2seq, rnnscope, tmp_path):
    tf1 = seq2seq.tf1

    def build():
        x, y = seq2seq.both()
        _, final = tf1.v1.nn.dynamic_rnn(tf1.cell(4), x, dtype="float32", scope="encoder")
        bridge = seq2seq.variable("bridge", 4, 4)
        start = tf1.state(final.c, tf1.tf.matmul(final.h, bridge))
        return dynamic(tf1, tf1.cell(4), y, "decoder", initial_state=start)[0]

    prefix, _ = tf1.save(build, FEED)
    inputs = tmp_path / "x.npz"
    np.savez(inputs, **FEED)
    flags = ("--inputs", "encoder", "--decoder-inputs", f"{inputs}::decoder")
    result = rnnscope("run", prefix, inputs, "-o", tmp_path / "t.h5", *flags)
    assert result.code == 2
    assert "MatMul" in result.stderr


def test_swapped_states_are_no_final_state(seq2seq):
    tf1 = seq2seq.tf1

    def build():
        x, y = seq2seq.both()
        _, final = tf1.v1.nn.dynamic_rnn(tf1.cell(4), x, dtype="float32", scope="encoder")
        return dynamic(tf1, tf1.cell(4), y, "decoder", initial_state=tf1.state(final.h, final.c))[0]

    prefix, _ = tf1.save(build, FEED)
    node = read_saver(prefix).network.node("decoder/lstm_cell")
    assert node.layer.starts_from_layers == ()
    assert "c from m of 'encoder/lstm_cell'" in str(node.layer.initial_state.value)
