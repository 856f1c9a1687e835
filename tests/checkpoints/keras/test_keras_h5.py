"""HDF5 models written here by hand: dialects of Keras that no longer install, and damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.checkpoints.keras.h5_file import READER
from rnnscope.errors import CheckpointError, UnsupportedCellError
from rnnscope.model.initial_state import OutsideState
from rnnscope.model.layers import Dense, Unsupported
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal

Weights = dict[str, list[tuple[str, np.ndarray]]]

KERNEL, RECURRENT, BIAS = (
    np.arange(12, dtype=np.float32).reshape(3, 4),
    np.arange(4, dtype=np.float32).reshape(1, 4) / 10,
    np.arange(4, dtype=np.float32),
)
"""One unit, three features."""


def lstm_weights(name: str = "lstm", scope: str = "lstm/lstm_cell") -> Weights:
    arrays = {"kernel": KERNEL, "recurrent_kernel": RECURRENT, "bias": BIAS}
    return {name: [(f"{scope}/{role}:0", array) for role, array in arrays.items()]}


def layer(class_name: str, name: str, *inbound: Any, **config: Any) -> dict[str, Any]:
    return {
        "class_name": class_name,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": list(inbound),
    }


def lstm(name: str = "lstm", *inbound: Any, **config: Any) -> dict[str, Any]:
    settings = {"units": 1, "activation": "tanh", "recurrent_activation": "sigmoid"}
    return layer("LSTM", name, *inbound, **{**settings, **config})


def functional(layers: list[dict[str, Any]], inputs: Any, outputs: Any) -> dict[str, Any]:
    config = {"name": "model", "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Model", "config": config}


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


def write(
    path: Path, model: Any, weights: Weights | None = None, version: str | None = "2.4.0"
) -> Path:
    with h5py.File(path, "w") as file:
        # Fixed-length text, as Keras 2 wrote it; texts of variable length lie in a heap, and on a
        # damaged heap the HDF5 library itself can hang.
        text = model if isinstance(model, str) else json.dumps(model)
        file.attrs["model_config"] = np.bytes_(text.encode())
        if version:
            file.attrs["keras_version"] = np.bytes_(version.encode())
        root = file.create_group("model_weights")
        for name, arrays in (weights or {}).items():
            group = root.create_group(name)
            group.attrs["weight_names"] = np.array([key.encode() for key, _ in arrays], "S")
            for key, array in arrays:
                group[key] = array
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.h5"


def read(path: Path) -> Checkpoint:
    assert READER.sniff(path)
    return READER.read(path)


def the_lstm(checkpoint: Checkpoint) -> RecurrentLayer:
    (node,) = checkpoint.network.recurrent
    assert node.recurrent is not None
    return node.recurrent


def test_sequential_without_input_layer(path: Path) -> None:
    """The input gets the name that Keras gives it; arrays and options arrive unchanged."""
    write(path, sequential(lstm(batch_input_shape=[None, 8, 3])), lstm_weights())
    checkpoint = read(path)
    assert checkpoint.framework == "Keras 2.4.0"
    assert checkpoint.network.inputs == ("lstm_input",)
    recurrent = the_lstm(checkpoint)
    np.testing.assert_array_equal(recurrent.cell.weights.kernel, KERNEL)
    np.testing.assert_array_equal(recurrent.cell.weights.recurrent_kernel, RECURRENT)
    np.testing.assert_array_equal(recurrent.cell.weights.bias, BIAS)
    assert recurrent.cell.stored_gate_order == "i f g o"
    assert recurrent.cell.variables[0] == "lstm/lstm_cell/kernel:0"
    options = recurrent.cell.options
    assert (options.activation.value, options.activation.origin) == ("tanh", "config")
    assert (options.forget_bias.value, options.forget_bias.detail) == (0.0, "inside the bias")
    assert recurrent.return_sequences is False
    assert recurrent.padding.value == "hold"


def test_sequential_as_a_bare_list(path: Path) -> None:
    """Until Keras 2.2.2 the config of a Sequential was its list of layers."""
    model = {"class_name": "Sequential", "config": [lstm()]}
    assert the_lstm(read(write(path, model, lstm_weights(), "2.1.3"))).cell.num_units == 1


def test_weights_go_by_name_where_there_are_names(path: Path) -> None:
    """In whatever order the file lists them."""
    weights = {"lstm": lstm_weights()["lstm"][::-1]}
    np.testing.assert_array_equal(
        the_lstm(read(write(path, sequential(lstm()), weights))).cell.weights.kernel, KERNEL
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.2", "hard_sigmoid"),
        ("2.2.4", "hard_sigmoid"),
        ("2.2.4-tf", "hard_sigmoid"),
        ("2.21.0", "hard_sigmoid"),
        ("3.0.5", "hard_sigmoid_keras3"),
        (None, "hard_sigmoid"),
    ],
)
def test_the_files_version_decides_hard_sigmoid(
    path: Path, version: str | None, expected: str
) -> None:
    """Two functions, one name; a note says which was taken."""
    model = sequential(lstm(trainable=True, recurrent_activation="hard_sigmoid"))
    checkpoint = read(write(path, model, lstm_weights(), version))
    assert the_lstm(checkpoint).cell.options.recurrent_activation.value == expected
    assert any("hard_sigmoid is clip" in note for note in checkpoint.notes)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("silu", "swish"),
        (None, "linear"),
        ({"class_name": "function", "config": "relu", "registered_name": "relu"}, "relu"),
        ({"class_name": "function", "config": {"name": "elu"}}, "elu"),
    ],
)
def test_activations_as_stored(path: Path, stored: Any, expected: str) -> None:
    """Names, aliases, null, serialized functions."""
    model = sequential(lstm(activation=stored))
    options = the_lstm(read(write(path, model, lstm_weights()))).cell.options
    assert options.activation.value == options.output_activation.value == expected


@pytest.mark.parametrize("stored", ["my_act", {"class_name": "LeakyReLU", "config": {}}])
def test_an_unknown_activation_is_named(path: Path, stored: Any) -> None:
    """The layer stays, not computed; the reason names the activation."""
    checkpoint = read(write(path, sequential(lstm(activation=stored)), lstm_weights()))
    assert checkpoint.network.recurrent == ()
    (row,) = checkpoint.left_out
    assert row.name == "lstm"
    assert "my_act" in row.reason or "LeakyReLU" in row.reason


def test_keras_1_twelve_arrays(path: Path) -> None:
    """Groups i, c, f, o of W, U, b; units is called output_dim."""
    arrays = []
    for column, gate in ((0, "i"), (2, "c"), (1, "f"), (3, "o")):
        block = slice(column, column + 1)
        for part, array in (("W", KERNEL), ("U", RECURRENT), ("b", BIAS)):
            arrays.append((f"lstm_1_{part}_{gate}:0", array[..., block]))
    entry = layer(
        "LSTM",
        "lstm_1",
        [["input_1", 0, 0]],
        output_dim=1,
        activation="tanh",
        inner_activation="hard_sigmoid",
        consume_less="cpu",
    )
    model = functional(
        [layer("InputLayer", "input_1"), entry], [["input_1", 0, 0]], [["lstm_1", 0, 0]]
    )
    recurrent = the_lstm(read(write(path, model, {"lstm_1": arrays}, "1.2.2")))
    np.testing.assert_array_equal(recurrent.cell.weights.kernel, KERNEL)
    np.testing.assert_array_equal(recurrent.cell.weights.recurrent_kernel, RECURRENT)
    np.testing.assert_array_equal(recurrent.cell.weights.bias, BIAS)
    assert recurrent.cell.stored_gate_order == "i g f o"
    assert recurrent.cell.options.recurrent_activation.value == "hard_sigmoid"


def test_cudnn_lstm(path: Path) -> None:
    """Blocks transposed back, two biases summed; the activations are cuDNN's own."""
    rng = np.random.default_rng(0)
    kernel, recurrent = rng.random((3, 8), np.float32), rng.random((2, 8), np.float32)
    stored = [
        np.hstack([block.ravel(order="F").reshape(block.shape) for block in np.hsplit(kernel, 4)]),
        np.hstack([block.T for block in np.hsplit(recurrent, 4)]),
        np.arange(16, dtype=np.float32),
    ]
    names = ("cu/kernel:0", "cu/recurrent_kernel:0", "cu/bias:0")
    weights = {"cu": list(zip(names, stored, strict=True))}
    model = sequential(layer("CuDNNLSTM", "cu", units=2, return_sequences=True))
    cell = the_lstm(read(write(path, model, weights, "2.2.4"))).cell
    np.testing.assert_array_equal(cell.weights.recurrent_kernel, recurrent)
    np.testing.assert_array_equal(cell.weights.bias, np.arange(8) * 2 + 8)
    for block, expected in zip(
        np.hsplit(cell.weights.kernel, 4), np.hsplit(kernel, 4), strict=True
    ):
        np.testing.assert_array_equal(block, expected)
    assert cell.options.recurrent_activation.value == "sigmoid"
    assert cell.source_class == "keras CuDNNLSTM"


def bidirectional(**config: Any) -> dict[str, Any]:
    inner = lstm("lstm_1", return_sequences=True)
    return layer(
        "Bidirectional",
        "bi",
        layer={"class_name": "LSTM", "config": inner["config"]},
        **{"merge_mode": "concat", **config},
    )


def bidirectional_weights() -> Weights:
    first = lstm_weights("bi", "bi/forward_lstm_1")["bi"]
    second = [(name.replace("forward", "backward"), -array) for name, array in first]
    return {"bi": first + second}


@pytest.mark.parametrize(("version", "rule"), [("2.2.4", "hold"), ("2.2.4-tf", "zeros")])
def test_bidirectional_of_old_files(path: Path, version: str, rule: str) -> None:
    """Without a backward_layer in the config the first one is turned round."""
    checkpoint = read(write(path, sequential(bidirectional()), bidirectional_weights(), version))
    network = checkpoint.network
    assert [node.name for node in network.nodes] == [
        "bi/forward_lstm_1",
        "bi/backward_lstm_1",
        "bi",
    ]
    forward, backward = (node.recurrent for node in network.recurrent)
    assert forward is not None
    assert backward is not None
    assert (forward.backward.value, backward.backward.value) == (False, True)
    np.testing.assert_array_equal(backward.cell.weights.kernel, -KERNEL)
    assert forward.padding.value == backward.padding.value == rule
    assert backward.outputs_in_input_order
    assert network.node("bi").reads == ("bi/forward_lstm_1", "bi/backward_lstm_1")


def test_go_backwards_alone_keeps_the_order_of_processing(path: Path) -> None:
    """Only Bidirectional turns outputs back."""
    write(path, sequential(lstm(go_backwards=True)), lstm_weights())
    recurrent = the_lstm(read(path))
    assert recurrent.backward.value
    assert recurrent.backward.origin == "config"
    assert not recurrent.outputs_in_input_order


@pytest.mark.parametrize(
    ("option", "said"),
    [("stateful", "is stateful"), ("time_major", "time-major"), ("dtype", "in 16 bits")],
)
def test_options_that_a_trace_cannot_show_are_noted(path: Path, option: str, said: str) -> None:
    """One sentence each, naming the layer."""
    value: Any = "mixed_float16" if option == "dtype" else True
    checkpoint = read(write(path, sequential(lstm(**{option: value})), lstm_weights()))
    (note,) = checkpoint.notes
    assert said in note
    assert "'lstm'" in note


def test_float16_weights_are_widened(path: Path) -> None:
    """They compute in float32."""
    weights = {"lstm": [(name, array.astype(np.float16)) for name, array in lstm_weights()["lstm"]]}
    assert the_lstm(read(write(path, sequential(lstm()), weights))).cell.dtype == np.float32


def nested_model() -> dict[str, Any]:
    """An LSTM within a model within a model; Keras 2 counts the nested model's calls from 1."""
    inner = functional(
        [layer("InputLayer", "x"), lstm("lstm", [["x", 0, 0, {}]], return_sequences=True)],
        [["x", 0, 0]],
        [["lstm", 0, 0]],
    )
    inner |= {"name": "encoder", "inbound_nodes": [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]}
    inner["config"]["name"] = "encoder"
    head = layer("Add", "add", [["encoder", 1, 0, {}], ["encoder", 2, 0, {}]])
    return functional(
        [layer("InputLayer", "a"), layer("InputLayer", "b"), head, inner],
        [["a", 0, 0], ["b", 0, 0]],
        [["add", 0, 0]],
    )


def test_nested_model_called_twice(path: Path) -> None:
    """Layers are named through the models around them, second calls told apart."""
    network = read(write(path, nested_model(), lstm_weights("encoder"))).network
    assert [node.name for node in network.nodes] == ["encoder/lstm", "encoder/lstm@2", "add"]
    assert network.node("encoder/lstm@2").reads == ("b",)
    assert network.node("add").reads == ("encoder/lstm", "encoder/lstm@2")
    first, second = network.recurrent
    assert first.recurrent is not None
    assert second.recurrent is not None
    assert first.recurrent.cell is second.recurrent.cell


def test_input_layers_in_the_flat_form(path: Path) -> None:
    """Keras 3 writes one input without the outer list."""
    model = functional(
        [layer("InputLayer", "x"), lstm("lstm", ["x", 0, 0, {}])], ["x", 0, 0], ["lstm", 0, 0]
    )
    assert read(write(path, model, lstm_weights())).network.inputs == ("x",)


def test_initial_state_of_keras_2(path: Path) -> None:
    """Further tensors of the same call: x first, then h and c."""
    call = [["x", 0, 0, {}], ["h", 0, 0, {}], ["c", 0, 0, {}]]
    inputs = [[name, 0, 0] for name in "xhc"]
    model = functional(
        [*(layer("InputLayer", name) for name in "xhc"), lstm("lstm", call)],
        inputs,
        [["lstm", 0, 0]],
    )
    (node,) = read(write(path, model, lstm_weights())).network.recurrent
    assert node.reads == ("x",)
    assert node.listed_inputs == ("x", "h", "c")
    assert node.recurrent is not None
    assert node.recurrent.initial_state.value.outside() == {
        "m": OutsideState("model input", "h"),
        "c": OutsideState("model input", "c"),
    }
    assert str(node.recurrent.initial_state.value) == "h from layer 'h', c from layer 'c'"


def test_a_state_c_read_as_an_input_is_a_node_that_is_not_computed(path: Path) -> None:
    """The Dense behind it cannot run; the LSTM can."""
    dense = layer("Dense", "head", [["lstm", 0, 2, {}]], units=1, activation="linear")
    model = functional(
        [layer("InputLayer", "x"), lstm("lstm", [["x", 0, 0, {}]], return_state=True), dense],
        [["x", 0, 0]],
        [["head", 0, 0]],
    )
    weights = lstm_weights() | {
        "head": [("head/kernel:0", np.ones((1, 1), "f4")), ("head/bias:0", np.ones(1, "f4"))]
    }
    network = read(write(path, model, weights)).network
    assert network.node("head").reads == ("lstm[c]",)
    assert isinstance(network.node("lstm[c]").layer, Unsupported)


@pytest.mark.parametrize(
    "entry",
    [
        layer("Lambda", "odd", function=["4wEAAAA="]),
        layer("Attention", "odd"),
        layer("ConvLSTM2D", "odd", filters=3),
        layer("Bidirectional", "odd", layer={**lstm("inner"), "module": "my_package"}),
        {**lstm("odd"), "module": "my_package.layers"},
        {**layer("Custom>LSTM", "odd", units=1)},
    ],
    ids=["lambda", "attention", "conv-lstm", "foreign-wrapped", "foreign-module", "registered"],
)
def test_other_layers_are_named_and_never_run(path: Path, entry: dict[str, Any]) -> None:
    """Also a class that only bears the name of one of Keras' own."""
    checkpoint = read(write(path, sequential(entry, lstm()), lstm_weights()))
    node = checkpoint.network.node("odd")
    assert isinstance(node.layer, Unsupported)
    assert "odd" in {row.name for row in checkpoint.left_out}
    assert the_lstm(checkpoint).cell.num_units == 1
    with pytest.raises(UnsupportedCellError, match="'odd' of class"):
        node.layer(Signal(np.zeros((1, 2, 3))))


def test_time_distributed_dense(path: Path) -> None:
    """The wrapped layer's weights are the wrapper's."""
    inner = {"class_name": "Dense", "config": {"name": "d", "units": 1, "activation": "tanh"}}
    weights = lstm_weights() | {
        "td": [("td/kernel:0", np.ones((3, 3), "f4")), ("td/bias:0", np.zeros(3, "f4"))]
    }
    inner["config"]["units"] = 3  # type: ignore[index]
    model = sequential(layer("TimeDistributed", "td", layer=inner), lstm())
    checkpoint = read(write(path, model, weights))
    td = checkpoint.network.node("td").layer
    assert isinstance(getattr(td, "inner", None), Dense)
    assert [row.reason for row in checkpoint.left_out] == ["dense layer", "dense layer"]


INPUT = layer("InputLayer", "x")

BROKEN_MODELS: dict[str, tuple[Any, Weights]] = {
    "no json": ("{", {}),
    "no object": ("[1]", {}),
    "deep json": ("[" * 50_000, {}),
    "subclassed": ({"class_name": "MyModel", "config": {}}, {}),
    "no class": ({"config": {}}, {}),
    "no config": ({"class_name": "Model"}, {}),
    "layers no list": ({"class_name": "Model", "config": {"layers": 3}}, {}),
    "layer no object": ({"class_name": "Sequential", "config": [7]}, {}),
    "layer without a name": (
        {"class_name": "Sequential", "config": [{"class_name": "LSTM", "config": {}}]},
        {},
    ),
    "no layers": (sequential(), {}),
    "no inputs": (functional([INPUT], [], []), {}),
    "input that is not there": (functional([INPUT], [["y", 0, 0]], []), {}),
    "two of one name": (functional([INPUT, INPUT], [["x", 0, 0]], []), {}),
    "name that is no group": (sequential(lstm("a//b")), lstm_weights("a//b")),
    "inbound no list": (functional([INPUT, {**lstm(), "inbound_nodes": 3}], [["x", 0, 0]], []), {}),
    "inbound odd": (
        functional([INPUT, lstm("lstm", {"args": 3})], [["x", 0, 0]], []),
        lstm_weights(),
    ),
    "history odd": (
        functional(
            [INPUT, lstm("lstm", {"args": [{"class_name": "__keras_tensor__", "config": {}}]})],
            [["x", 0, 0]],
            [],
        ),
        lstm_weights(),
    ),
    "reads nothing that is there": (
        functional([INPUT, lstm("lstm", [["y", 0, 0, {}]])], [["x", 0, 0]], []),
        lstm_weights(),
    ),
    "circle": (
        functional(
            [INPUT, lstm("a", [["b", 0, 0, {}]]), lstm("b", [["a", 0, 0, {}]])],
            [["x", 0, 0]],
            [],
        ),
        lstm_weights("a") | lstm_weights("b"),
    ),
    "output that is not made": (
        functional([INPUT, lstm("lstm", [["x", 0, 0, {}]])], [["x", 0, 0]], [["lstm", 4, 0]]),
        lstm_weights(),
    ),
    "third state": (
        functional(
            [INPUT, lstm("lstm", [["x", 0, 0, {}]]), layer("Flatten", "f", [["lstm", 0, 7, {}]])],
            [["x", 0, 0]],
            [["f", 0, 0]],
        ),
        lstm_weights(),
    ),
    "units no number": (sequential(lstm(units="8")), lstm_weights()),
    "units true": (sequential(lstm(units=True)), lstm_weights()),
    "wrong units": (sequential(lstm(units=2)), lstm_weights()),
    "no weights": (sequential(lstm()), {}),
    "too few weights": (sequential(lstm()), {"lstm": lstm_weights()["lstm"][:2]}),
    "bias that should not be": (sequential(lstm(use_bias=False)), lstm_weights()),
    "integer weights": (
        sequential(lstm()),
        {"lstm": [(name, array.astype(int)) for name, array in lstm_weights()["lstm"]]},
    ),
    "merge mode": (sequential(bidirectional(merge_mode="xor")), bidirectional_weights()),
    "odd share": (sequential(bidirectional()), {"bi": bidirectional_weights()["bi"][:5]}),
}


def gru_weights(*shapes: tuple[int, ...], name: str = "gru") -> Weights:
    roles = ("kernel", "recurrent_kernel", "bias")
    arrays = [np.arange(np.prod(shape), dtype="f4").reshape(shape) for shape in shapes]
    return {name: [(f"{name}/{r}:0", a) for r, a in zip(roles, arrays, strict=False)]}


BROKEN_MODELS |= {
    "gru with one row": (
        sequential(layer("GRU", "gru", units=1, reset_after=True)),
        gru_weights((3, 3), (1, 3), (3,)),
    ),
    "gru with two rows": (
        sequential(layer("GRU", "gru", units=1, reset_after=False)),
        gru_weights((3, 3), (1, 3), (2, 3)),
    ),
    "cudnn gru with one bias": (
        sequential(layer("CuDNNGRU", "gru", units=1)),
        gru_weights((3, 3), (1, 3), (3,)),
    ),
    "simple rnn of other units": (
        sequential(layer("SimpleRNN", "gru", units=2)),
        gru_weights((3, 3), (1, 3), (3,)),
    ),
    "cells that are no list": (
        sequential(
            layer("RNN", "gru", cell={"class_name": "StackedRNNCells", "config": {"cells": 3}})
        ),
        {},
    ),
}


def _too_deep() -> dict[str, Any]:
    model: dict[str, Any] = sequential(lstm())
    for number in range(40):
        model = {**sequential(model), "name": f"s{number}"}
    return model


BROKEN_MODELS["models too deep"] = (_too_deep(), lstm_weights())


@pytest.mark.parametrize("case", BROKEN_MODELS)
def test_broken_models_end_in_a_message(path: Path, case: str) -> None:
    """Never a KeyError: what is wrong, where, and what was expected."""
    write(path, *BROKEN_MODELS[case])
    assert READER.sniff(path)
    with pytest.raises(CheckpointError) as raised:
        READER.read(path)
    assert raised.value.where
    assert raised.value.found or raised.value.hint or case == "two of one name"


def test_a_listed_weight_that_is_missing(path: Path) -> None:
    write(path, sequential(lstm()), lstm_weights())
    with h5py.File(path, "a") as file:
        del file["model_weights/lstm/lstm/lstm_cell/bias:0"]
    with pytest.raises(CheckpointError, match="not in it") as raised:
        read(path)
    assert "bias:0" in str(raised.value)


def test_a_weight_that_is_a_link(path: Path) -> None:
    """Weights of another file are not read."""
    write(path, sequential(lstm()), lstm_weights())
    with h5py.File(path, "a") as file:
        scope = file["model_weights/lstm/lstm/lstm_cell"]
        del scope["bias:0"]
        scope["bias:0"] = h5py.ExternalLink("other.h5", "/bias")
    with pytest.raises(CheckpointError, match="does not follow"):
        read(path)


def test_sniffing_goes_by_content(path: Path, tmp_path: Path) -> None:
    """Weights alone, other HDF5, text, folders and nothing at all: not ours, and no error."""
    with h5py.File(path, "w") as file:
        file.create_group("lstm")
    (tmp_path / "text.h5").write_text("no")
    (tmp_path / "empty.h5").touch()
    for other in (path, tmp_path, tmp_path / "text.h5", tmp_path / "empty.h5", tmp_path / "none"):
        assert not READER.sniff(other)


@pytest.mark.parametrize("cut", [9, 300, 2000, -1])
def test_a_truncated_model_says_so(path: Path, cut: int) -> None:
    """It is taken as ours, so that the message is about the damage."""
    write(path, sequential(lstm()), lstm_weights())
    path.write_bytes(path.read_bytes()[:cut])
    assert READER.sniff(path)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        READER.read(path)


def test_no_byte_that_is_wrong_gets_through_as_another_error(path: Path) -> None:
    """Every 67th byte turned over, one at a time: a checkpoint, or a `CheckpointError`."""
    write(path, sequential(lstm()), lstm_weights())
    whole = path.read_bytes()
    for place in range(0, len(whole), 67):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            READER.read(path)
        except CheckpointError:
            continue


def keras3_operation(class_name: str, arguments: list[Any], **config: Any) -> dict[str, Any]:
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
    call = {"args": [tensor if a == "x" else a for a in arguments], "kwargs": {}}
    return layer(class_name, "odd", call, **config)


@pytest.mark.parametrize(
    ("class_name", "arguments"),
    [
        ("Add", ["x"]),
        ("Add", ["x", None]),
        ("Add", ["x", [1, 2]]),
        ("Add", ["x", float("inf")]),
        ("Add", ["x", 10**400]),
        ("Multiply", ["x", True]),
        ("GetItem", ["x", [0]]),
        ("GetItem", ["x", []]),
        ("GetItem", ["x", [{"class_name": "__slice__", "config": {"start": 1}}]]),
        ("GetItem", ["x", [{"class_name": "__slice__", "config": {"step": 0}}]]),
        ("GetItem", ["x", [{"class_name": "__slice__", "config": {"start": "a"}}]]),
        ("GetItem", ["x", [{"class_name": "__slice__"}]]),
        ("Einsum", ["x", "x"]),
        ("Concatenate", ["x"]),
    ],
)
def test_operations_that_are_not_computed_are_named(
    path: Path, class_name: str, arguments: list[Any]
) -> None:
    """Whatever stands in their place in a file."""
    model = functional(
        [INPUT, keras3_operation(class_name, arguments), lstm("lstm", [["odd", 0, 0, {}]])],
        [["x", 0, 0]],
        [["lstm", 0, 0]],
    )
    model["config"]["layers"][2]["config"]["trainable"] = True
    network = read(write(path, model, lstm_weights(), "3.5.0")).network
    assert isinstance(network.node("odd").layer, Unsupported)


def test_a_decoder_that_starts_from_something_else_is_kept_from_running(path: Path) -> None:
    """States in another order than [h, c]: they are not taken for the final state."""
    start = {"initial_state": [["enc", 0, 2], ["enc", 0, 1]]}
    model = functional(
        [
            INPUT,
            lstm("enc", [["x", 0, 0, {}]], return_state=True),
            lstm("dec", [["x", 0, 0, start]]),
        ],
        [["x", 0, 0]],
        [["dec", 0, 0]],
    )
    network = read(write(path, model, lstm_weights("enc") | lstm_weights("dec"))).network
    node = network.node("dec")
    assert node.recurrent is not None
    assert node.recurrent.starts_from_layers == ()
    assert node.reads == ("x",)
    assert node.starts_from == ("dec[initial state]",)
    assert node.listed_inputs == ("x", "dec[initial state]")
    assert isinstance(network.node("dec[initial state]").layer, Unsupported)


def test_cudnn_gru(path: Path) -> None:
    """Blocks are turned back and go from z, r, h into r, z, n; the two biases stay apart."""
    weights = gru_weights((2, 6), (2, 6), (12,))
    model = sequential(layer("CuDNNGRU", "gru", units=2))
    cell = the_lstm(read(write(path, model, weights, "2.2.4"))).cell
    kernel, recurrent, bias = (array for _, array in weights["gru"])
    z, r, n = (block.T for block in np.hsplit(recurrent, 3))
    np.testing.assert_array_equal(cell.weights.recurrent_kernel, np.hstack([r, z, n]))
    # The input's block in Fortran's order: its values, row by row, fill the columns.
    z, r, n = (block.ravel().reshape(2, 2, order="F") for block in np.hsplit(kernel, 3))
    np.testing.assert_array_equal(cell.weights.kernel, np.hstack([r, z, n]))
    np.testing.assert_array_equal(cell.weights.bias, bias[[2, 3, 0, 1, 4, 5]])
    np.testing.assert_array_equal(cell.weights.recurrent_bias, bias[[8, 9, 6, 7, 10, 11]])
    assert cell.options.reset_after.value
    assert cell.options.recurrent_activation.value == "sigmoid"


@pytest.mark.parametrize(("version", "after"), [("2.2.4", False), ("2.4.0", True)])
def test_a_gru_that_does_not_say_where_it_resets(path: Path, version: str, after: bool) -> None:
    """The default of its Keras, for which the bias has its shape."""
    weights = gru_weights((3, 3), (1, 3), (2, 3) if after else (3,))
    recurrent = the_lstm(
        read(write(path, sequential(layer("GRU", "gru", units=1)), weights, version))
    )
    option = recurrent.cell.options.reset_after
    assert (option.value, option.origin) == (after, "class default")
    assert recurrent.state_format.value == "h"
