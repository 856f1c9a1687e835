"""Everything that a Keras file holds for a layer is used, known to be harmless, or refuses it."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.keras.accounting.layers import KNOWN
from rnnscope.checkpoints.keras.config import BUILDERS
from rnnscope.model.layers import StoredMask, Unsupported

RNG = np.random.default_rng(4)
X = RNG.normal(size=(3, 4, 2)).astype(np.float32)
UNITS = 3
ARRAYS = {
    "kernel": RNG.normal(size=(2, 4 * UNITS)).astype(np.float32),
    "recurrent_kernel": RNG.normal(size=(UNITS, 4 * UNITS)).astype(np.float32),
    "bias": RNG.normal(size=4 * UNITS).astype(np.float32),
}


def write(path, layers, weights=ARRAYS, version="2.12.0", kwargs=None, inbound=None):
    """A Functional model of tf.keras: an input, and one recurrent layer ``rec`` that reads it."""
    nodes = inbound or [[["x", 0, 0, kwargs or {}]]]
    first = {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
             "config": {"name": "x", "batch_input_shape": [None, 4, 2]}}  # fmt: skip
    model = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [first, {**layers, "name": "rec", "inbound_nodes": nodes}],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["rec", 0, 0]],
        },
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = version
        group = file.create_group("model_weights/rec")
        group.attrs["weight_names"] = [f"rec/cell/{name}:0".encode() for name in weights]
        for name, array in weights.items():
            group[f"rec/cell/{name}:0"] = array
    return path


def lstm(**config):
    """An LSTM entry as tf.keras stores it."""
    settings = {"name": "rec", "units": UNITS, "activation": "tanh",
                "recurrent_activation": "sigmoid", "return_sequences": True}  # fmt: skip
    return {"class_name": "LSTM", "config": {**settings, **config}}


def refusal(path):
    """Why the layer is not computed; None if it is."""
    checkpoint = read_checkpoint(path)
    node = checkpoint.network.node("rec")
    return node.layer.reason if isinstance(node.layer, Unsupported) else None


def test_every_class_that_is_built_has_its_table_of_keys():
    named_only = {name for name in BUILDERS if name.startswith("ConvLSTM")}
    assert BUILDERS.keys() - named_only <= KNOWN.keys()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"attention_heads": 2}, "has 'attention_heads' (2) in its configuration"),
        ({"attention_heads": None}, "has 'attention_heads' (None) in its configuration"),
        ({"num_constants": 1}, "has num_constants=1, which is not computed"),
        ({"dtype": {"class_name": "QuantizedDTypePolicy",
                    "config": {"mode": "int8", "source_name": "float32"}}},
         "is quantized: its dtype policy is int8_from_float32"),
        ({"dtype": "posit16"}, "has the dtype policy 'posit16'"),
    ],
)  # fmt: skip
def test_a_key_that_is_not_known_refuses_the_layer(tmp_path, config, said):
    assert said in refusal(write(tmp_path / "m.h5", lstm(**config)))


def test_keys_that_change_nothing_do_not(tmp_path):
    config = {
        "trainable": False, "dropout": 0.3, "recurrent_dropout": 0.1, "unroll": True,
        "implementation": 1, "kernel_initializer": {"class_name": "Zeros", "config": {}},
        "bias_regularizer": None, "unit_forget_bias": True, "batch_input_shape": [None, 4, 2],
        "dtype": {"class_name": "Policy", "config": {"name": "float32"}}, "num_constants": None,
    }  # fmt: skip
    assert refusal(write(tmp_path / "m.h5", lstm(**config))) is None


def test_a_key_beside_the_configuration_is_looked_at_too(tmp_path):
    said = refusal(write(tmp_path / "m.h5", {**lstm(), "patched_call": "f"}))
    assert "has 'patched_call' ('f') beside its configuration" in said


def test_a_weight_that_no_cell_has_refuses_the_layer(tmp_path):
    cell = {"class_name": "LSTMCell", "config": {"name": "cell", "units": UNITS}}
    rnn = {"class_name": "RNN", "config": {"name": "rec", "cell": cell}}
    # Of an RNN the count tells; an Activation takes none at all.
    with pytest.raises(Exception, match="has not the weights that its configuration promises"):
        read_checkpoint(write(tmp_path / "m.h5", rnn, {**ARRAYS, "gate_scale": np.ones(3)}))
    act = {"class_name": "Activation", "config": {"name": "rec", "activation": "tanh"}}
    said = refusal(write(tmp_path / "m.h5", act, {"scale": np.ones(2)}))
    assert "holds 'rec/cell/scale:0' (2,), which nothing that rnnscope computes uses" in said


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"training": True}, "is called with training=True"),
        ({"constants": [[1.0]]}, "is called with constants=[[1.0]]"),
        ({"temperature": 2}, "is called with temperature=2"),
        ({"mask": "all"}, "is called with mask='all'"),
        ({"initial_state": "zeros"}, "is called with initial_state='zeros'"),
    ],
)
def test_an_argument_that_is_not_computed_refuses_the_layer(tmp_path, kwargs, said):
    path = write(tmp_path / "m.h5", lstm(dropout=0.2), kwargs=kwargs)
    assert said in refusal(path)


@pytest.mark.parametrize("kwargs", [{"training": False}, {"training": None}, {"mask": None}])
def test_arguments_that_change_nothing_do_not(tmp_path, kwargs):
    assert refusal(write(tmp_path / "m.h5", lstm(dropout=0.2), kwargs=kwargs)) is None


def test_training_without_dropout_is_no_training(tmp_path):
    assert refusal(write(tmp_path / "m.h5", lstm(dropout=0), kwargs={"training": True})) is None


def test_a_constant_in_a_tensors_place_refuses_the_layer(tmp_path):
    inbound = [[["x", 0, 0, {}], ["_CONSTANT_VALUE", -1, [[0.5]], {}]]]
    said = refusal(write(tmp_path / "m.h5", lstm(), inbound=inbound))
    assert said.startswith("is called on a constant ([[0.5]])")


def test_an_activation_of_another_package_is_not_keras_own(tmp_path):
    act = {"module": "builtins", "class_name": "function", "config": "relu",
           "registered_name": "mine>relu"}  # fmt: skip
    said = refusal(write(tmp_path / "m.h5", lstm(activation=act, trainable=True), version="3.4.0"))
    assert "the activation 'mine>relu', which is not computed" in said


MASK = [[True, True, True, False], [True, False, False, False], [True] * 4]
H, C = RNG.normal(size=(2, 3, UNITS)).tolist()


def test_a_constant_mask_and_state_are_read(tmp_path):
    kwargs = {"mask": MASK, "initial_state": [H, C]}
    network = read_checkpoint(write(tmp_path / "m.h5", lstm(), kwargs=kwargs)).network
    node = network.node("rec")
    assert node.reads == ("rec[mask]",)
    assert isinstance(network.node("rec[mask]").layer, StoredMask)
    stored = node.recurrent.initial_state.value.stored()
    np.testing.assert_array_equal(stored["m"], H)
    np.testing.assert_array_equal(stored["c"], C)


@pytest.mark.parametrize("what", ["mask", "initial_state"])
def test_constants_of_another_batch_are_refused(rnnscope, tmp_path, what):
    kwargs = {what: {"mask": MASK, "initial_state": [H, C]}[what]}
    write(tmp_path / "m.h5", lstm(), kwargs=kwargs)
    np.save(tmp_path / "x.npy", X[:2])
    result = rnnscope("run", tmp_path / "m.h5", tmp_path / "x.npy", "-o", tmp_path / "t.h5")
    assert result.code == 2
    assert "3 sequences" in result.stderr
    assert "2 sequences" in result.stderr
    assert not (tmp_path / "t.h5").exists()


def test_a_state_of_another_width_is_named(tmp_path):
    kwargs = {"initial_state": [[[0.5, 1.0]], [[0.5, 1.0]]]}
    network = read_checkpoint(write(tmp_path / "m.h5", lstm(), kwargs=kwargs)).network
    assert "where h is 3 wide" in network.node("rec[initial state]").layer.reason


def test_a_row_of_a_mask_for_every_slice(rnnscope, read_trace, tmp_path):
    """Slices of sequences take their own rows of it, however they are cut."""
    write(tmp_path / "m.h5", lstm(), kwargs={"mask": MASK, "initial_state": [H, C]})
    np.save(tmp_path / "x.npy", X)
    run = ["run", tmp_path / "m.h5", tmp_path / "x.npy", "--quiet"]
    assert rnnscope(*run, "-o", tmp_path / "whole.h5").code == 0
    assert rnnscope(*run, "-o", tmp_path / "cut.h5", "--memory", "1KB").code in (0, 2)
    whole = read_trace(tmp_path / "whole.h5")
    np.testing.assert_array_equal(whole["rec/m"][1, 1:], whole["rec/m"][1, :1].repeat(3, 0))
    one = read_checkpoint(tmp_path / "m.h5").network.node("rec[mask]").layer
    np.testing.assert_array_equal(one.at(slice(1, 3)).mask, np.array(MASK)[1:])
    if (tmp_path / "cut.h5").exists():
        np.testing.assert_array_equal(read_trace(tmp_path / "cut.h5")["rec/m"], whole["rec/m"])


def test_lengths_that_are_given_go_before_a_constant_mask(rnnscope, tmp_path):
    write(tmp_path / "m.h5", lstm(), kwargs={"mask": MASK})
    np.save(tmp_path / "x.npy", X)
    result = rnnscope("run", tmp_path / "m.h5", tmp_path / "x.npy", "--lengths", "4,4,4", "-o",
                      tmp_path / "t.h5")  # fmt: skip
    assert result.code == 0
    assert "would give a constant mask" in " ".join(result.stdout.split())


PEEPHOLES = {f"{gate}_gate_peephole_weights": RNG.normal(size=UNITS).astype(np.float32)
             for gate in ("input", "forget", "output")}  # fmt: skip


def peephole_layer(name="PeepholeLSTMCell"):
    """An RNN of a peephole cell, as tf.keras stores it."""
    cell = {"class_name": name, "config": {**lstm()["config"], "recurrent_activation": "sigmoid"}}
    del cell["config"]["return_sequences"]
    return {"class_name": "RNN", "config": {"name": "rec", "cell": cell, "return_sequences": True}}


@pytest.mark.parametrize("name", ["PeepholeLSTMCell", "Addons>PeepholeLSTMCell"])
def test_a_peephole_cell_is_an_lstm_with_peepholes(tmp_path, name):
    path = write(tmp_path / "m.h5", peephole_layer(name), {**ARRAYS, **PEEPHOLES})
    weights = read_checkpoint(path).network.node("rec").recurrent.cell.weights
    for gate, word in {"i": "input", "f": "forget", "o": "output"}.items():
        stored = PEEPHOLES[f"{word}_gate_peephole_weights"]
        np.testing.assert_array_equal(getattr(weights, f"peephole_{gate}"), stored)


def test_a_peephole_cell_of_another_package_is_refused(tmp_path):
    said = refusal(
        write(tmp_path / "m.h5", peephole_layer("Mine>PeepholeLSTMCell"), {**ARRAYS, **PEEPHOLES})
    )
    assert "a cell of class Mine>PeepholeLSTMCell" in said
