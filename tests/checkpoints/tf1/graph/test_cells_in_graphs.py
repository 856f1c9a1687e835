"""Cells in graphs that TensorFlow builds and saves here, run from the file, against the session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnscope.checkpoints.tf1.saver import read_saver
from rnnscope.errors import CheckpointError, UnsupportedCellError
from rnnscope.model.recurrent_layer import RecurrentLayer

RNG = np.random.default_rng(21)
X = RNG.normal(size=(3, 6, 3)).astype(np.float32)
LENGTHS = np.array([6, 4, 1], np.int32)


@pytest.fixture
def trace_of(rnnscope, read_trace, tmp_path):
    """`trace_of(prefix, feed, *flags)`: run the checkpoint as a user would, and read the trace."""

    def run(prefix, feed, *flags):
        np.savez(tmp_path / "feed.npz", **feed)
        trace = tmp_path / "trace.h5"
        inputs = tmp_path / "feed.npz"
        result = rnnscope("run", prefix, inputs, "-o", trace, "--quiet", "--force", *flags)
        assert (result.code, result.stdout) == (0, ""), result.stdout + result.stderr
        return read_trace(trace)

    return run


def close(ours, theirs):
    limit = 5e-6 if theirs.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=limit * max(1, np.abs(theirs).max()))


def assert_states(trace, layer, told, final, lengths=None):
    """A layer of the trace against c and m at every valid step, and the final state."""
    lengths = np.full(len(told["c"]), told["c"].shape[1]) if lengths is None else lengths
    valid = np.arange(told["c"].shape[1]) < lengths[:, None]
    for name in "cm":
        close(trace[f"{layer}/{name}"][valid], told[name][valid])
        close(trace[f"{layer}/final/{name}"], final[name])


def split_states(told, widths):
    """What `TF1.telling` put side by side: the outputs, then c and m of each layer."""
    output, *parts = np.split(told, np.cumsum(widths)[:-1], axis=-1)
    states = [
        dict(zip("cm", pair, strict=True)) for pair in zip(parts[::2], parts[1::2], strict=True)
    ]
    return output, states


def options_of(prefix, layer="rnn/lstm_cell"):
    node = read_saver(prefix).network.node(layer)
    return {name: (option.value, option.origin) for name, option in node.layer.cell.options.items()}


CELLS = {
    "default": {},
    "forget bias": {"forget_bias": 0.3},
    "no forget bias": {"forget_bias": 0.0},
    "a whole forget bias": {"forget_bias": 2},
    "cell clip": {"cell_clip": 0.2},
    "peepholes": {"peepholes": True},
    "peepholes and cell clip": {"peepholes": True, "cell_clip": 0.3},
    "projection": {"proj": 2},
    "projection and its clip": {"proj": 2, "proj_clip": 0.25},
    "projection as wide as the cell": {"proj": 4},
    "both clips": {"proj": 2, "proj_clip": 0.25, "cell_clip": 0.3},
    "all at once": {
        "peepholes": True,
        "proj": 2,
        "proj_clip": 0.25,
        "cell_clip": 0.3,
        "forget_bias": 0.7,
    },
    "concatenated state": {"concat_state": True},
    "fused": {"block": True, "forget_bias": 0.4},
    "fused, clip and peepholes": {"block": True, "peepholes": True, "cell_clip": 0.3},
}


@pytest.mark.parametrize("options", CELLS.values(), ids=list(CELLS))
def test_a_cell_in_dynamic_rnn(tf1, trace_of, control_flow, options):
    feed = {"x": X, "lengths": LENGTHS}

    def build(tell=lambda cell: cell):
        cell = tell(tf1.cell(4, **options))
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), tf1.lengths(), dtype="float32")

    prefix, (outputs, final) = tf1.save(build, feed)
    told, _ = tf1.truth(lambda: build(tf1.telling), prefix, feed)
    output = options.get("proj", 4)
    _, (states,) = split_states(told, [output, 4, output])
    if options.get("concat_state"):
        final = np.split(final, 2, axis=1)
    trace = trace_of(prefix, feed)
    assert_states(trace, "rnn/lstm_cell", states, dict(zip("cm", final, strict=True)), LENGTHS)
    close(trace["rnn/lstm_cell/outputs"], outputs)
    found = options_of(prefix)
    for name in ("cell_clip", "proj_clip"):
        assert found[name] == (options.get(name), "graph")
    assert found["forget_bias"] == (pytest.approx(options.get("forget_bias", 1.0)), "graph")
    layer = read_saver(prefix).network.node("rnn/lstm_cell").layer
    assert layer.padding.value == "zeros"
    assert "placeholder 'lengths'" in str(layer.lengths.value)
    packed = "concat [c, m]" if options.get("concat_state") else "tuple (c, m)"
    assert layer.state_format.value == packed


@pytest.mark.parametrize(
    "name", ["relu", "elu", "softsign", "relu6", "selu", "softplus", "sigmoid"]
)
def test_activations(tf, tf1, trace_of, name):
    function = getattr(tf.nn, name)

    def build():
        cell = tf1.cell(4, activation=function)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), dtype="float32")

    prefix, (outputs, final) = tf1.save(build, {"x": X})
    trace = trace_of(prefix, {"x": X})
    close(trace["rnn/lstm_cell/outputs"], outputs)
    close(trace["rnn/lstm_cell/final/c"], final.c)
    found = options_of(prefix)
    assert found["activation"] == found["output_activation"] == (name, "graph")
    assert found["recurrent_activation"] == ("sigmoid", "graph")


def test_no_activation_at_all(tf, tf1, trace_of):
    def build():
        cell = tf1.cell(4, activation=tf.identity)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), dtype="float32")

    prefix, (outputs, _) = tf1.save(build, {"x": X})
    close(trace_of(prefix, {"x": X})["rnn/lstm_cell/outputs"], outputs)
    assert options_of(prefix)["activation"] == ("linear", "graph")


def test_an_activation_that_nobody_knows_is_what_the_graph_computes(tf, tf1, trace_of):
    def build():
        cell = tf1.cell(4, activation=lambda z: tf.sin(z) * z)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), dtype="float32")

    prefix, (outputs, _) = tf1.save(build, {"x": X})
    (node,) = read_saver(prefix).network.recurrent
    assert (node.layer.cell.kind, node.layer.evidence.kind) == ("graph", "evaluated")
    close(trace_of(prefix, {"x": X})["rnn/lstm_cell/outputs"], outputs)


def test_an_activation_that_is_random_makes_a_suspect_and_no_numbers(tf, tf1):
    """Better no layer than a layer that is computed wrongly."""

    def build():
        cell = tf1.cell(4, activation=lambda z: tf.random.normal(tf.shape(z)) * z)
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), dtype="float32")

    prefix, _ = tf1.save(build)
    checkpoint = read_saver(prefix)
    assert not checkpoint.network.recurrent
    (left,) = [entry for entry in checkpoint.left_out if entry.name.endswith("kernel")]
    assert left.name == "rnn/lstm_cell/kernel"
    assert "no LSTM that rnnscope knows" in left.reason


@pytest.mark.parametrize("function", ["erf", "sin", "cos", "asinh"])
def test_an_unknown_activation_of_one_op_is_not_taken_for_none(tf, tf1, trace_of, function):
    def build():
        cell = tf1.cell(4, activation=getattr(tf.math, function))
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), dtype="float32")

    prefix, (outputs, _) = tf1.save(build, {"x": X})
    try:
        layers = read_saver(prefix).network.recurrent
    except UnsupportedCellError:
        return
    if layers:
        close(trace_of(prefix, {"x": X})["rnn/lstm_cell/outputs"], outputs)


def test_float64(tf1, trace_of, control_flow):
    x = X.astype(np.float64)

    def build(tell=lambda cell: cell):
        cell = tell(tf1.cell(4, forget_bias=0.1, peepholes=True, cell_clip=0.35))
        return tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(dtype="float64"), dtype="float64")

    prefix, (_, final) = tf1.save(build, {"x": x})
    told, _ = tf1.truth(lambda: build(tf1.telling), prefix, {"x": x})
    _, (states,) = split_states(told, [4, 4, 4])
    trace = trace_of(prefix, {"x": x})
    assert_states(trace, "rnn/lstm_cell", states, {"c": final.c, "m": final.h})
    assert trace["rnn/lstm_cell/c"].dtype == np.float64


def test_a_stack(tf1, trace_of, control_flow):
    feed = {"x": X, "lengths": LENGTHS}

    def build(tell=lambda cell: cell):
        stack = tf1.stack(
            tf1.cell(4, forget_bias=0.2), tf1.cell(5, proj=3), tf1.cell(2, peepholes=True)
        )
        return tf1.v1.nn.dynamic_rnn(tell(stack), tf1.placeholder(), tf1.lengths(), dtype="float32")

    prefix, (outputs, final) = tf1.save(build, feed)
    told, _ = tf1.truth(lambda: build(tf1.telling), prefix, feed)
    _, states = split_states(told, [2, 4, 4, 5, 3, 2, 2])
    trace = trace_of(prefix, feed)
    layers = [f"rnn/multi_rnn_cell/cell_{number}/lstm_cell" for number in range(3)]
    for layer, told_states, last in zip(layers, states, final, strict=True):
        assert_states(trace, layer, told_states, {"c": last.c, "m": last.h}, LENGTHS)
    close(trace[f"{layers[-1]}/outputs"], outputs)
    nodes = {node.name: node.reads for node in read_saver(prefix).network.recurrent}
    assert nodes == {layers[0]: ("x",), layers[1]: (layers[0],), layers[2]: (layers[1],)}


@pytest.mark.parametrize("with_lengths", [True, False], ids=["lengths", "no lengths"])
def test_bidirectional(tf1, trace_of, control_flow, with_lengths):
    feed = {"x": X, "lengths": LENGTHS} if with_lengths else {"x": X}

    def build(tell=lambda cell: cell):
        return tf1.v1.nn.bidirectional_dynamic_rnn(
            tell(tf1.cell(4)),
            tell(tf1.cell(5, forget_bias=0.5, seed=7)),
            tf1.placeholder(),
            tf1.lengths() if with_lengths else None,
            dtype="float32",
        )

    prefix, (outputs, final) = tf1.save(build, feed)
    told, _ = tf1.truth(lambda: build(tf1.telling), prefix, feed)
    trace = trace_of(prefix, feed)
    for way, number, units in (("fw", 0, 4), ("bw", 1, 5)):
        layer = f"bidirectional_rnn/{way}/lstm_cell"
        _, (states,) = split_states(told[number], [units] * 3)
        last = {"c": final[number].c, "m": final[number].h}
        assert_states(trace, layer, states, last, LENGTHS if with_lengths else None)
        close(trace[f"{layer}/outputs"], outputs[number])
        node = read_saver(prefix).network.node(layer).layer
        assert node.backward.value == (way == "bw")
        assert node.padding.value == ("zeros" if with_lengths else "none")


@pytest.mark.parametrize("with_lengths", [True, False], ids=["lengths", "no lengths"])
def test_static_rnn(tf, tf1, trace_of, with_lengths):
    feed = {"x": X, "lengths": LENGTHS} if with_lengths else {"x": X}

    def build(tell=lambda cell: cell):
        outputs, final = tf1.v1.nn.static_rnn(
            tell(tf1.cell(4, proj=3, proj_clip=0.3)),
            tf.unstack(tf1.placeholder(), axis=1),
            dtype="float32",
            sequence_length=tf1.lengths() if with_lengths else None,
        )
        return tf.stack(outputs, 1), final

    prefix, (outputs, final) = tf1.save(build, feed)
    told, _ = tf1.truth(lambda: build(tf1.telling), prefix, feed)
    _, (states,) = split_states(told, [3, 4, 3])
    trace = trace_of(prefix, feed)
    lengths = LENGTHS if with_lengths else None
    assert_states(trace, "rnn/lstm_cell", states, {"c": final.c, "m": final.h}, lengths)
    close(trace["rnn/lstm_cell/outputs"], outputs)


def test_static_bidirectional_rnn(tf, tf1, trace_of):
    feed = {"x": X, "lengths": LENGTHS}

    def build():
        outputs, _, final = tf1.v1.nn.static_bidirectional_rnn(
            tf1.cell(4),
            tf1.cell(4, seed=9),
            tf.unstack(tf1.placeholder(), axis=1),
            dtype="float32",
            sequence_length=tf1.lengths(),
        )
        return tf.stack(outputs, 1), final

    prefix, (outputs, final) = tf1.save(build, feed)
    trace = trace_of(prefix, feed)
    close(trace["bidirectional_rnn/fw/lstm_cell/outputs"], outputs[..., :4])
    close(trace["bidirectional_rnn/bw/lstm_cell/outputs"], outputs[..., 4:])
    close(trace["bidirectional_rnn/bw/lstm_cell/final/c"], final.c)


@pytest.mark.parametrize("where", ["input", "output", "both"])
def test_dropout_is_off(tf, tf1, trace_of, control_flow, where):
    """Dropout stands between the cells in the graph, and does nothing when the model is used."""

    def build():
        rate = tf1.v1.placeholder_with_default(np.float32(0), [], "rate")

        def drop(x, *_):
            return tf1.v1.nn.dropout(x, rate=rate)

        ways = {
            key: drop for key, on in (("before", "input"), ("after", "output"))
            if where in (on, "both")
        }  # fmt: skip
        cells = tf1.cell(4), tf1.cell(5, forget_bias=0.0)
        stack = tf1.stack(*(tf1.wrapped(cell, **ways) for cell in cells))
        return tf1.v1.nn.dynamic_rnn(stack, tf1.placeholder(), dtype="float32")

    prefix, (outputs, final) = tf1.save(build, {"x": X})
    trace = trace_of(prefix, {"x": X})
    close(trace["rnn/multi_rnn_cell/cell_1/lstm_cell/outputs"], outputs)
    close(trace["rnn/multi_rnn_cell/cell_0/lstm_cell/final/c"], final[0].c)


def test_an_initial_state_that_is_fed(tf, tf1, trace_of, control_flow):
    initial = {f"initial_{name}": RNG.normal(size=(3, 4)).astype(np.float32) for name in "cm"}
    feed = {"x": X, **initial}

    def build():
        before = tf1.state(*(tf1.v1.placeholder("float32", [None, 4], name) for name in initial))
        return tf1.v1.nn.dynamic_rnn(tf1.cell(4), tf1.placeholder(), initial_state=before)

    prefix, (outputs, _) = tf1.save(build, feed)
    close(trace_of(prefix, feed)["rnn/lstm_cell/outputs"], outputs)
    words = str(read_saver(prefix).network.node("rnn/lstm_cell").layer.initial_state.value)
    assert words == "c from placeholder 'initial_c', m from placeholder 'initial_m'"


def test_an_initial_state_that_was_learned(tf, tf1, trace_of, control_flow):
    def build():
        rows = [
            tf1.v1.get_variable(name, [1, 4], initializer=tf1.v1.random_normal_initializer(seed=3))
            for name in ("c0", "m0")
        ]
        x = tf1.placeholder()
        state = tf1.state(*(tf.tile(row, [tf.shape(x)[0], 1]) for row in rows))
        return tf1.v1.nn.dynamic_rnn(tf1.cell(4), x, initial_state=state)

    prefix, (outputs, _) = tf1.save(build, {"x": X})
    close(trace_of(prefix, {"x": X})["rnn/lstm_cell/outputs"], outputs)
    checkpoint = read_saver(prefix)
    assert "variable 'c0'" in str(
        checkpoint.network.node("rnn/lstm_cell").layer.initial_state.value
    )
    assert not checkpoint.left_out


def test_two_towers_that_share_their_weights_are_one_layer_run_once_and_said(tf, tf1, trace_of):
    """One model for training and one for use, in one graph."""

    def build():
        cell, x = tf1.cell(4), tf1.placeholder()
        with tf1.v1.variable_scope("model"):
            first = tf1.v1.nn.dynamic_rnn(cell, x, dtype="float32")
        with tf1.v1.variable_scope("model", reuse=True):
            other = tf1.v1.placeholder("float32", [None, 6, 3], "y")
            tf1.v1.nn.dynamic_rnn(cell, other, dtype="float32")
        return first

    prefix, (outputs, _) = tf1.save(build, {"x": X})
    checkpoint = read_saver(prefix)
    assert [node.name for node in checkpoint.network.recurrent] == ["model/rnn/lstm_cell"]
    assert any("run once" in note for note in checkpoint.notes)
    close(trace_of(prefix, {"x": X})["model/rnn/lstm_cell/outputs"], outputs)


def test_one_cell_used_twice_in_a_row_is_two_layers(tf, tf1, trace_of):
    def build():
        cell = tf1.cell(3)
        first, _ = tf1.v1.nn.dynamic_rnn(cell, tf1.placeholder(), dtype="float32", scope="rnn")
        with tf1.v1.variable_scope("rnn", reuse=True):
            scope = tf1.v1.get_variable_scope()
        return first, tf1.v1.nn.dynamic_rnn(cell, first, dtype="float32", scope=scope)[0]

    prefix, (first, second) = tf1.save(build, {"x": X})
    trace = trace_of(prefix, {"x": X})
    found = [name for name in trace if name.endswith("outputs")]
    assert len(found) == 2
    ordered = [node.name for node in read_saver(prefix).network.recurrent]
    close(trace[f"{ordered[0]}/outputs"], first)
    close(trace[f"{ordered[1]}/outputs"], second)


def test_a_saver_with_names_of_its_own(tf, tf1, trace_of):
    """``Saver({"other/kernel": kernel})``: the graph's names are not those of the file."""

    def build():
        return tf1.v1.nn.dynamic_rnn(tf1.cell(4, proj=2), tf1.placeholder(), dtype="float32")

    def names():
        # Crossed over on purpose: the file's names must not be taken for the graph's.
        variables = {v.op.name.rpartition("lstm_cell/")[2]: v for v in tf1.v1.global_variables()}
        return {f"old/{name}": variable for name, variable in variables.items()}

    prefix, (outputs, _) = tf1.save(build, {"x": X}, var_list=names)
    checkpoint = read_saver(prefix)
    (node,) = checkpoint.network.recurrent
    assert set(node.layer.cell.variables) == {"old/kernel", "old/bias", "old/projection/kernel"}
    close(trace_of(prefix, {"x": X})[f"{node.name}/outputs"], outputs)


@pytest.mark.parametrize("parts", [2, 3])
def test_partitioned_variables(tf, tf1, trace_of, parts):
    def build():
        partitioner = tf1.v1.fixed_size_partitioner(parts)
        with tf1.v1.variable_scope("", partitioner=partitioner):
            return tf1.v1.nn.dynamic_rnn(tf1.cell(6), tf1.placeholder(), dtype="float32")

    prefix, (outputs, _) = tf1.save(build, {"x": X})
    (node,) = read_saver(prefix).network.recurrent
    assert node.name == "rnn/lstm_cell"
    close(trace_of(prefix, {"x": X})["rnn/lstm_cell/outputs"], outputs)


def test_a_loop_by_hand(tf, tf1, trace_of, control_flow):
    """``tf.while_loop`` over TensorArrays, with no dynamic_rnn in sight."""

    def build():
        x, cell = tf1.placeholder(), tf1.cell(4, forget_bias=0.6)
        steps = tf.TensorArray("float32", 6).unstack(tf.transpose(x, [1, 0, 2]))
        zero = cell.zero_state(tf.shape(x)[0], tf.float32)

        def body(t, c, m, kept):
            output, state = cell(tf.ensure_shape(steps.read(t), [None, 3]), (c, m))
            return t + 1, state.c, state.h, kept.write(t, output)

        kept = tf.TensorArray("float32", 6)
        _, c, _, kept = tf1.v1.while_loop(lambda t, *_: t < 6, body, [0, *zero, kept])
        return tf.transpose(kept.stack(), [1, 0, 2]), c

    prefix, (outputs, c) = tf1.save(build, {"x": X})
    trace = trace_of(prefix, {"x": X})
    (node,) = read_saver(prefix).network.recurrent
    close(trace[f"{node.name}/outputs"], outputs)
    close(trace[f"{node.name}/final/c"], c)


def test_what_surrounds_the_cells_is_left_out_with_a_reason(tf, tf1):
    v1 = tf1.v1

    def build():
        outputs, _ = v1.nn.dynamic_rnn(tf1.cell(4), tf1.placeholder(), dtype="float32")
        head = v1.get_variable("lstm_head/kernel", [4, 16])
        v1.train.get_or_create_global_step()
        loss = tf.reduce_sum(tf.matmul(outputs[:, -1], head))
        v1.train.AdamOptimizer().minimize(loss)
        average = tf.train.ExponentialMovingAverage(0.9)
        average.apply([v for v in v1.trainable_variables() if v.op.name.endswith("lstm_cell/bias")])
        return outputs

    prefix, _ = tf1.save(build)
    checkpoint = read_saver(prefix)
    assert [node.name for node in checkpoint.network.recurrent] == ["rnn/lstm_cell"]
    reasons = {entry.name: entry.reason for entry in checkpoint.left_out}
    assert reasons["rnn/lstm_cell/kernel/Adam_1"] == "optimizer slot"
    assert reasons["beta1_power"] == "optimizer slot"
    assert reasons["rnn/lstm_cell/bias/ExponentialMovingAverage"] == "moving average"
    assert reasons["global_step"] == "training step"
    assert reasons["lstm_head/kernel"] == "dense layer"
    assert "rnn/lstm_cell/kernel" not in reasons


def test_an_embedding_in_front(tf, tf1, trace_of):
    ids = RNG.integers(0, 9, (3, 6)).astype(np.int32)

    def build():
        table = tf1.v1.get_variable("embedding", [9, 3])
        given = tf1.v1.placeholder("int32", [None, 6], "ids")
        looked_up = tf.nn.embedding_lookup(table, given)
        return tf1.v1.nn.dynamic_rnn(tf1.cell(4), looked_up, dtype="float32")

    prefix, (outputs, _) = tf1.save(build, {"ids": ids})
    close(trace_of(prefix, {"ids": ids})["rnn/lstm_cell/outputs"], outputs)


def test_a_time_major_graph_reads_the_same_input(tf1, trace_of):
    def build():
        x = tf1.v1.placeholder("float32", [6, None, 3], "x")
        return tf1.v1.nn.dynamic_rnn(tf1.cell(4), x, dtype="float32", time_major=True)

    turned = np.ascontiguousarray(X.swapaxes(0, 1))
    prefix, (outputs, _) = tf1.save(build, {"x": turned})
    close(trace_of(prefix, {"x": X})["rnn/lstm_cell/outputs"], outputs.swapaxes(0, 1))
    close(
        trace_of(prefix, {"x": turned}, "--time-major")["rnn/lstm_cell/outputs"],
        outputs.swapaxes(0, 1),
    )


def test_lengths_that_are_a_constant_of_the_graph(tf, tf1, trace_of):
    def build():
        return tf1.v1.nn.dynamic_rnn(
            tf1.cell(4), tf1.placeholder(), tf.constant([6, 2, 3]), dtype="float32"
        )

    prefix, (outputs, _) = tf1.save(build, {"x": X})
    trace = trace_of(prefix, {"x": X})
    close(trace["rnn/lstm_cell/outputs"], outputs)
    assert trace["lengths"].tolist() == [6, 2, 3]


@pytest.mark.parametrize("ending", ["", ".index", ".meta", "folder"])
def test_every_name_of_a_checkpoint_opens_it(small, ending):
    path = Path(f"{small.prefix}{ending}") if ending != "folder" else small.prefix.parent
    (node,) = read_saver(path).network.recurrent
    assert node.name == small.layer
    assert isinstance(node.layer, RecurrentLayer)


def test_a_kernel_of_another_model_is_named(tf1, tmp_path):
    """A .meta file beside the wrong weights."""

    def build(units=4):
        return tf1.v1.nn.dynamic_rnn(tf1.cell(units), tf1.placeholder(), dtype="float32")

    prefix, _ = tf1.save(build, name="a.ckpt")
    tf1.save(lambda: build(3), name="b.ckpt")
    (tmp_path / "a.ckpt.meta").write_bytes((tmp_path / "b.ckpt.meta").read_bytes())
    try:
        layer = read_saver(prefix).network.node("rnn/lstm_cell").layer
    except CheckpointError as error:
        assert "rnn/lstm_cell/kernel" in str(error)
    else:
        assert layer.cell.num_units == 4
