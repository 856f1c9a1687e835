"""The graph as the judge of what was read of it: what agrees is proved, the rest is found out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.checkpoints.tf1.graph.cells import lstm_cells
from rnnscope.checkpoints.tf1.graph.evaluation.later import graph_trial
from rnnscope.checkpoints.tf1.graph.evaluation.proving import proof
from rnnscope.checkpoints.tf1.graph.evaluation.proving.verdict import LIMITS
from rnnscope.checkpoints.tf1.saver import read_saver
from rnnscope.model.cell import Option

SAMPLES = Path(__file__).resolve().parents[4] / "sample_data"
X = np.random.default_rng(4).normal(size=(3, 6, 3)).astype(np.float32)


@pytest.mark.parametrize(("name", "steps"), [("lstm_float32", 9), ("lstm_float64", 10)])
def test_a_stock_layer_is_proved(name, steps):
    (node,) = read_saver(SAMPLES / name / "model.ckpt").network.recurrent
    layer = node.recurrent
    assert layer.evidence.kind == "proved"
    assert layer.evidence.steps == steps
    assert 0 < layer.evidence.difference <= LIMITS[layer.cell.dtype]


def test_a_cell_that_is_read_wrongly_is_found_out_and_evaluated(monkeypatch):
    """Another forget bias than the graph's: the equations differ, and the graph's own are run."""
    folder = SAMPLES / "lstm_float64"
    right = rnnscope.run(folder / "model.ckpt", folder / "inputs.npz")
    monkeypatch.setattr(lstm_cells, "forget_bias", lambda _: Option(0.5, "graph"))
    (node,) = read_saver(folder / "model.ckpt").network.recurrent
    assert node.recurrent.cell.kind == "graph"
    assert node.recurrent.evidence.kind == "evaluated"
    evaluated = rnnscope.run(folder / "model.ckpt", folder / "inputs.npz")
    one, other = (next(iter(trace.layers.values())) for trace in (right, evaluated))
    for state in ("c", "m", "outputs"):
        np.testing.assert_allclose(
            np.asarray(getattr(other, state)), np.asarray(getattr(one, state)), rtol=0, atol=1e-12
        )


def test_a_loop_that_never_ends_is_given_up(tf, tf1, monkeypatch):
    for room in (graph_trial, proof):
        assert room.MOST_OPS <= 2_000_000
        monkeypatch.setattr(room, "MOST_OPS", 20_000)

    def build():
        x = tf1.placeholder()
        kernel = tf1.v1.get_variable("kernel", (3, 3))
        return tf1.v1.while_loop(
            lambda step, _: step >= 0,
            lambda step, state: (step + 0, tf.tanh(state @ kernel)),
            (tf.constant(0), x[:, 0]),
        )[1]

    prefix, _ = tf1.save(build)
    checkpoint = read_saver(prefix)
    assert not checkpoint.network.recurrent
    assert "too many steps" in " ".join(checkpoint.notes)


def test_random_numbers_are_refused_by_name(tf, tf1):
    """Noise on the state, which no switch turns off."""

    def build():
        x = tf1.placeholder()
        cell = tf1.cell(4)

        def noisy(step, m, c, states):
            _, (c, m) = cell(x[:, step], tf1.state(c, m))
            c = c + tf.random.normal(tf.shape(c))
            return step + 1, m, c, states.write(step, m)

        zeros = tf.zeros((tf.shape(x)[0], 4))
        states = tf.TensorArray("float32", tf.shape(x)[1], element_shape=(None, 4))
        loop = tf1.v1.while_loop(
            lambda step, *_: step < tf.shape(x)[1], noisy, (0, zeros, zeros, states)
        )
        return loop[3].stack()

    prefix, _ = tf1.save(build)
    checkpoint = read_saver(prefix)
    assert not checkpoint.network.recurrent
    assert "Random" in " ".join(checkpoint.notes)


def test_sequences_that_depend_on_each_other_are_refused(tf, tf1):
    """A mean over the batch in front: what comes out depends on who else is run."""

    def build():
        x = tf1.placeholder()
        centred = x - tf.reduce_mean(x, axis=0, keepdims=True)
        return tf1.v1.nn.dynamic_rnn(tf1.cell(4), centred, dtype="float32")[0]

    prefix, _ = tf1.save(build)
    checkpoint = read_saver(prefix)
    assert not checkpoint.network.recurrent
    assert "sequences depend on each other" in " ".join(checkpoint.notes)


def test_a_switch_that_matters_is_said(tf, tf1):
    """A scale in front that a placeholder turns on: the run has it off, and says so."""

    def build():
        x = tf1.placeholder()
        doubled = tf1.v1.placeholder("bool", (), "doubled")
        scaled = tf1.v1.cond(doubled, lambda: x * 2, lambda: x * 3)
        return tf1.v1.nn.dynamic_rnn(tf1.cell(4), scaled, dtype="float32")[0]

    prefix, _ = tf1.save(build)
    checkpoint = read_saver(prefix)
    assert checkpoint.network.recurrent
    assert "'doubled' as false" in " ".join(checkpoint.notes)


def test_a_scan_that_returns_all_states_in_one_tensor_is_proved(tf, tf1, control_flow):
    """`tf.scan` of stacked (m, c), a matrix a gate, as many write it by hand."""

    def build():
        x = tf1.placeholder()
        parts = [
            (tf1.v1.get_variable(f"w{gate}", (3, 4)), tf1.v1.get_variable(f"u{gate}", (4, 4)),
             tf1.v1.get_variable(f"b{gate}", (4,)))
            for gate in "ifog"
        ]  # fmt: skip

        def step(states, x):
            m, c = tf.unstack(states)
            i, f, o, g = (x @ w + m @ u + b for w, u, b in parts)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            return tf.stack([tf.sigmoid(o) * tf.tanh(c), c])

        zeros = tf.zeros((2, tf.shape(x)[0], 4))
        return tf.scan(step, tf.transpose(x, (1, 0, 2)), initializer=zeros)

    prefix, states = tf1.save(build, {"x": X})
    (node,) = read_saver(prefix).network.recurrent
    assert node.recurrent.evidence.kind == "proved"
    with rnnscope.run(prefix, X) as trace:
        (layer,) = trace.layers.values()
        np.testing.assert_allclose(layer.m[...], states[:, 0].swapaxes(0, 1), atol=1e-6)
        np.testing.assert_allclose(layer.c[...], states[:, 1].swapaxes(0, 1), atol=1e-6)


def test_a_loop_that_takes_its_steps_itself_is_read_forward_beside_what_is_turned(tf, tf1):
    """Its x comes from no list, and something else in the graph is turned."""

    def build():
        x = tf1.placeholder()
        w, u = tf1.v1.get_variable("w", (3, 4)), tf1.v1.get_variable("u", (4, 4))

        def step(number, m, states):
            m = tf.tanh(x[:, number] @ w) * tf.sigmoid(m @ u) + 0.5 * m
            return number + 1, m, states.write(number, m)

        zeros = tf.zeros((tf.shape(x)[0], 4))
        states = tf.TensorArray("float32", tf.shape(x)[1], element_shape=(None, 4))
        loop = tf1.v1.while_loop(lambda n, *_: n < tf.shape(x)[1], step, (0, zeros, states))
        turned = tf.reduce_sum(tf.reverse(x, (1,)) * 2, axis=1)
        return tf.transpose(loop[2].stack(), (1, 0, 2)), turned

    prefix, (states, _) = tf1.save(build, {"x": X})
    with rnnscope.run(prefix, X) as trace:
        (layer,) = trace.layers.values()
        np.testing.assert_allclose(layer.m[...], states, atol=1e-6)
