"""TensorFlow as oracle: its kernels against our engine, and the verifier that users call."""

from __future__ import annotations

import builtins
import sys
from dataclasses import replace

import numpy as np
import pytest
from lstm_cases import layer_of

from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import EngineError
from rnnscope.model.activations import ACTIVATIONS
from rnnscope.model.cell import LSTMWeights
from rnnscope.model.network import Node
from rnnscope.model.states import LayerStates
from rnnscope.oracles.tensorflow_verifier import TensorFlowVerifier

FEATURES, UNITS, SEQUENCES, TIMESTEPS = 5, 8, 4, 7
LENGTHS = np.arange(TIMESTEPS) < np.array([7, 5, 1, 0])[:, None]
HOLES = np.array(
    [[1] * 7, [0, 1, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1], [0] * 7], bool
)  # full, left-padded with holes, one late step, none


def make_layer(
    seed=0, *, dtype="float32", source="LSTMCell", proj=None, peepholes=(), padding="none",
    backward=False, reversal="whole", in_input_order=True, units=UNITS, scale=0.6, **values,
):  # fmt: skip
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(scale=scale, size=shape).astype(dtype)

    settings = {
        "forget_bias": 1.0,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "output_activation": values.get("activation", "tanh"),
        "cell_clip": None,
        "proj_clip": None,
        **values,
    }
    weights = LSTMWeights(
        draw(FEATURES, 4 * units),
        draw(proj or units, 4 * units),
        draw(4 * units),
        projection=draw(units, proj) if proj else None,
        **{f"peephole_{gate}": draw(units) for gate in peepholes},
    )
    return layer_of(
        weights, settings, padding=padding, backward=backward, reversal=reversal,
        in_input_order=in_input_order, source_class=source,
    )  # fmt: skip


def make_input(layer, seed=1, timesteps=TIMESTEPS):
    rng = np.random.default_rng(seed)
    dtype = layer.cell.dtype
    initial = {
        "c": rng.normal(size=(SEQUENCES, layer.cell.num_units)).astype(dtype),
        "m": rng.normal(size=(SEQUENCES, layer.cell.output_size)).astype(dtype),
    }
    return rng.normal(size=(SEQUENCES, timesteps, FEATURES)).astype(dtype), initial


def verify(layer, mask=None, initial=True, states=None, x=None):
    """The verifier's rows for a layer: by state."""
    verifier = TensorFlowVerifier()
    given_x, before = make_input(layer)
    x = given_x if x is None else x
    before = before if initial else {}
    states = states or run_layer(layer, x, mask, before)
    verifier.compare(Node("l", layer, ("x",)), x, mask, before, states)
    return {row.state: row for row in verifier.rows()}


def assert_close(ours, theirs):
    limit = 64 * np.finfo(ours.dtype).eps * max(1, np.abs(theirs).max())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=limit)


BLOCK = {
    "plain": {},
    "forget bias": {"forget_bias": 0.3},
    "no forget bias": {"forget_bias": 0.0},
    "peepholes": {"peepholes": "ifo"},
    "cell clip": {"cell_clip": 0.25},
    "peepholes and cell clip": {"peepholes": "ifo", "cell_clip": 0.25, "forget_bias": -0.5},
}


@pytest.mark.parametrize("options", BLOCK.values(), ids=list(BLOCK))
def test_lstm_block_cell_computes_our_step(tf, options):
    """Every gate as the op returns it, called here without any of the package's own TF code."""
    layer = make_layer(**options)
    x, initial = make_input(layer, timesteps=1)
    states = run_layer(layer, x, None, initial, gates=True)
    weights = layer.cell.weights

    def icfo(array):
        return np.concatenate([np.split(array, 4, -1)[block] for block in (0, 2, 1, 3)], -1)

    none = np.zeros(UNITS, np.float32)
    out = tf.raw_ops.LSTMBlockCell(
        x=x[:, 0],
        cs_prev=initial["c"],
        h_prev=initial["m"],
        w=icfo(np.concatenate([weights.kernel, weights.recurrent_kernel])),
        wci=none if weights.peephole_i is None else weights.peephole_i,
        wcf=none if weights.peephole_f is None else weights.peephole_f,
        wco=none if weights.peephole_o is None else weights.peephole_o,
        b=icfo(weights.bias),
        forget_bias=options.get("forget_bias", 1.0),
        cell_clip=options.get("cell_clip", -1.0),
        use_peephole="peepholes" in options,
    )
    for name, theirs in {"i": out.i, "f": out.f, "g": out.ci, "o": out.o}.items():
        assert_close(states.gates[name][:, 0], theirs.numpy())
    assert_close(states.c[:, 0], out.cs.numpy())
    assert_close(states.m[:, 0], out.h.numpy())
    if "cell_clip" in options:
        assert np.abs(states.c).max() == np.float32(0.25)


DRIVES = {
    "forward": {},
    "forward with lengths": {"padding": "zeros"},
    "backward": {"backward": True},
    "backward within lengths": {
        "backward": True,
        "padding": "zeros",
        "reversal": "within length",
    },
}


@pytest.mark.parametrize("options", BLOCK.values(), ids=list(BLOCK))
@pytest.mark.parametrize("drive", DRIVES.values(), ids=list(DRIVES))
def test_block_lstm_runs_our_layer(tf, options, drive):
    rows = verify(make_layer(**options, **drive), LENGTHS)
    assert list(rows) == ["c", "m", "outputs", "final c", "final m"]
    assert {row.kernel for row in rows.values()} == {"BlockLSTM"}
    assert all(row.ok for row in rows.values())
    assert rows["c"].difference < rows["c"].limit < 1e-3


KERAS = {
    "plain": {"padding": "hold"},
    "float64": {"padding": "hold", "dtype": "float64"},
    "hard sigmoid of Keras 2": {"padding": "hold", "recurrent_activation": "hard_sigmoid"},
    "hard sigmoid of Keras 3": {"padding": "hold", "recurrent_activation": "hard_sigmoid_keras3"},
    "relu": {"padding": "hold", "activation": "relu"},
    "zeros": {"padding": "zeros"},
    "forget bias": {"forget_bias": 0.5, "padding": "hold"},
    "go_backwards": {"padding": "hold", "backward": True, "in_input_order": False},
    "go_backwards, zeros": {"padding": "zeros", "backward": True, "in_input_order": False},
    "in a Bidirectional": {"padding": "zeros", "backward": True},
}


@pytest.mark.parametrize("mask", [None, LENGTHS, HOLES], ids=["no mask", "lengths", "holes"])
@pytest.mark.parametrize("options", KERAS.values(), ids=list(KERAS))
def test_keras_lstm_runs_our_layer(tf, options, mask):
    rows = verify(make_layer(source="keras LSTM", **{"forget_bias": 0.0, **options}), mask)
    assert list(rows) == ["outputs", "final c", "final m"]
    assert {row.kernel for row in rows.values()} == {"keras.layers.LSTM"}
    assert all(row.ok for row in rows.values())


BEYOND = {
    "has no projection": {"proj": 3, "proj_clip": 0.4, "cell_clip": 0.5, "peepholes": "ifo"},
    "does not compute in float64": {"dtype": "float64"},
    "knows tanh alone": {"activation": "relu"},
    "the gates of BlockLSTM know sigmoid alone": {"recurrent_activation": "hard_sigmoid"},
    "takes a cell_clip of 0 for none": {"cell_clip": 0.0},
    "BlockLSTM has no coupled forget gate": {"coupled": True},
    "BlockLSTM has no clip of the gates": {"gate_clip": 0.4},
    "Keras' LSTM has no coupled forget gate": {"source": "keras LSTM", "coupled": True},
    "no clip": {"source": "keras LSTM", "cell_clip": 0.3},
    "no projection and no peepholes": {"source": "keras LSTM", "peepholes": "f"},
    "one activation": {"source": "keras LSTM", "output_activation": "linear"},
    "turns the whole time axis": {
        "source": "keras LSTM",
        "backward": True,
        "reversal": "within length",
    },
}


@pytest.mark.parametrize("why", BEYOND)
def test_what_a_kernel_cannot_express_is_computed_in_single_ops_and_said(tf, why):
    layer = make_layer(padding="zeros", **BEYOND[why])
    for mask in (LENGTHS, HOLES):
        rows = verify(layer, mask)
        assert all(row.ok for row in rows.values())
        assert all(row.kernel.startswith("TensorFlow ops (") for row in rows.values())
        assert all(why in row.kernel for row in rows.values())


def test_block_lstm_is_not_asked_to_skip_steps(tf):
    rows = verify(make_layer(padding="zeros"), HOLES)
    assert "masked step before a valid one" in rows["c"].kernel
    assert all(row.ok for row in rows.values())


@pytest.mark.parametrize("source", ["LSTMCell", "keras LSTM"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_one_that_tensorflow_computes_alike(tf, name, source):
    # Small and short: exponentials of exponentials soon leave what a float can hold.
    for place in ("activation", "recurrent_activation"):
        layer = make_layer(source=source, scale=0.1, forget_bias=0.0, **{place: name})
        rows = verify(layer, initial=False, x=make_input(layer, timesteps=2)[0])
        assert all(row.ok for row in rows.values())
        assert np.isfinite([row.limit for row in rows.values()]).all()


@pytest.mark.parametrize("gate", "ifo")
def test_a_single_peephole_is_told_apart(tf, gate):
    assert all(row.ok for row in verify(make_layer(peepholes=gate)).values())


def test_an_initial_state_may_be_given_in_part_and_as_one_row(tf):
    layer = make_layer()
    x, _ = make_input(layer)
    initial = {"c": np.linspace(-1, 1, UNITS, dtype=np.float32)}
    verifier = TensorFlowVerifier()
    verifier.compare(Node("l", layer, ("x",)), x, None, initial, run_layer(layer, x, None, initial))
    assert all(row.ok for row in verifier.rows())
    verifier.compare(Node("l", layer, ("x",)), x, None, {}, run_layer(layer, x, None, initial))
    assert not any(row.ok for row in verifier.rows())


def damage(states, where, value, *index):
    group, _, name = where.partition(".")
    copied = {
        key: {state: array.copy() for state, array in getattr(states, key).items()}
        for key in ("states", "initial", "final", "gates")
    }
    outputs = states.outputs.copy()
    (copied[group][name] if name else outputs)[index] = value
    return LayerStates(outputs=outputs, **copied)


DAMAGES = {
    "one c in the middle": ("LSTMCell", "states.c", 0.001, (1, 2, 3), "c"),
    "one m at the end": ("LSTMCell", "states.m", 0.001, (0, 6, 0), "m"),
    "NaN": ("LSTMCell", "states.c", float("nan"), (0, 0, 0), "c"),
    "an infinity": ("LSTMCell", "states.m", float("inf"), (0, 0, 0), "m"),
    "the final c": ("LSTMCell", "final.c", 9.0, (2, 1), "final c"),
    "an output of a Keras layer": ("keras LSTM", "outputs", 9.0, (2, 1, 1), "outputs"),
    "the final m of a Keras layer": ("keras LSTM", "final.m", 9.0, (0, 1), "final m"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_state_fails(tf, name):
    source, where, value, index, state = DAMAGES[name]
    layer = make_layer(source=source, padding="zeros")
    x, initial = make_input(layer)
    good = run_layer(layer, x, LENGTHS, initial)
    rows = verify(layer, LENGTHS, states=damage(good, where, value, *index))
    assert not rows[state].ok


@pytest.mark.parametrize("source", ["LSTMCell", "keras LSTM"])
@pytest.mark.parametrize("pair", ["if", "ig", "io", "fg", "fo", "go"])
def test_two_swapped_gates_fail_by_far(tf, source, pair):
    """The states come from weights in which two gate blocks changed places."""
    layer = make_layer(source=source)
    first, second = ("ifgo".index(gate) for gate in pair)
    order = [0, 1, 2, 3]
    order[first], order[second] = second, first
    weights = layer.cell.weights
    swapped = {
        name: np.concatenate([np.split(getattr(weights, name), 4, -1)[k] for k in order], -1)
        for name in ("kernel", "recurrent_kernel", "bias")
    }
    cell = replace(layer.cell, weights=replace(weights, **swapped))
    x, initial = make_input(layer)
    wrong = run_layer(replace(layer, cell=cell), x, None, initial)
    rows = verify(layer, states=wrong)
    assert not any(row.ok for row in rows.values())
    assert all(row.difference > 500 * row.limit for row in rows.values())


@pytest.mark.parametrize(
    "wrong", [{"forget_bias": 0.99}, {"cell_clip": 0.5}, {"output_activation": "softsign"}]
)
def test_a_wrong_option_fails(tf, wrong):
    layer = make_layer()
    x, initial = make_input(layer)
    other = make_layer(**wrong)
    assert not any(r.ok for r in verify(layer, states=run_layer(other, x, None, initial)).values())


@pytest.mark.parametrize("source", ["LSTMCell", "keras LSTM"])
def test_a_chaotic_layer_is_verified_step_by_step(tf, source):
    """Large weights at many units: rounding grows a millionfold, in any two engines."""
    layer = make_layer(source=source, units=256, scale=1.0, backward=True, padding="zeros")
    x, _ = make_input(layer, timesteps=80)
    mask = np.arange(80) < np.array([80, 60, 1, 0])[:, None]
    rows = verify(layer, mask, initial=False, x=x)
    assert list(rows) == ["c", "m", "outputs", "final c", "final m"]
    assert all(row.ok for row in rows.values())
    assert all("single steps" in row.kernel for row in rows.values())
    good = run_layer(layer, x, mask)
    for where, index in {
        "states.c": (0, 40, 7),
        "states.m": (0, 0, 7),
        "final.c": (1, 7),
        "outputs": (2, 1, 3),
    }.items():
        states = damage(good, where, 0.01, *index)
        rows = verify(layer, mask, initial=False, x=x, states=states)
        assert not all(row.ok for row in rows.values())


def test_slices_add_up(tf):
    """The largest difference of all slices counts, NaN above all."""
    layer = make_layer()
    x, initial = make_input(layer)
    node = Node("l", layer, ("x",))
    good = run_layer(layer, x, None, initial)
    bad = damage(good, "states.c", float("nan"), 0, 0, 0)
    for order in ((good, bad), (bad, good)):
        verifier = TensorFlowVerifier()
        for states in order:
            verifier.compare(node, x, None, initial, states)
        rows = {row.state: row for row in verifier.rows()}
        assert np.isnan(rows["c"].difference)
        assert not rows["c"].ok
        assert rows["m"].ok


def test_no_sequences_are_no_difference(tf):
    layer = make_layer()
    assert verify(layer, x=np.zeros((0, 3, FEATURES), np.float32), initial=False) == {}


def test_another_kind_of_cell_is_named(tf):
    layer = make_layer()
    layer = replace(layer, cell=replace(layer.cell, kind="gru"))
    with pytest.raises(EngineError) as error:
        TensorFlowVerifier().compare(Node("l", layer, ("x",)), np.zeros((1, 1, 1)), None, {}, None)
    assert "layer 'l'" in error.value.where
    assert error.value.found == "gru"


@pytest.mark.parametrize(
    ("raised", "what"),
    [
        (ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow"), "not installed"),
        (ImportError("libcudart.so.11: cannot open shared object file"), "does not import"),
        (TypeError("Descriptors cannot be created directly."), "does not import"),
    ],
)
def test_without_tensorflow_the_error_says_what_to_do(monkeypatch, raised, what):
    real = builtins.__import__

    def refuse(name, *arguments, **named):
        if name.partition(".")[0] == "tensorflow":
            raise raised
        return real(name, *arguments, **named)

    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(EngineError) as error:
        TensorFlowVerifier()
    assert what in error.value.what
    assert str(raised) in error.value.found
    assert "pip install tensorflow" in error.value.hint
