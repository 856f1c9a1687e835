"""Keras files of weights alone: written by hand as each Keras did, and by the installed Keras."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.checkpoints.keras.weights_only.file import READER
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import CheckpointError
from rnnscope.model.layers import Embedding, Masking, PassThrough, Unsupported
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal

Layers = dict[str, list[tuple[str, np.ndarray]]]

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.h5"


def arrays(inputs: int, units: int, gates: int = 4, bias: tuple[int, ...] | None = None) -> list:
    """Kernel, recurrent kernel and bias of a cell, each value another."""
    shapes = [(inputs, gates * units), (units, gates * units), bias or (gates * units,)]
    rng = np.random.default_rng(inputs * 100 + units)
    return [rng.standard_normal(shape).astype("f4") for shape in shapes]


def cell(scope: str, *sizes: int, end: str = "", **more: Any) -> list[tuple[str, np.ndarray]]:
    roles = ("kernel", "recurrent_kernel", "bias")
    return [(f"{scope}/{r}{end}:0", a) for r, a in zip(roles, arrays(*sizes, **more), strict=True)]


def write(path: Path, layers: Layers, version: str | None = "2.4.0") -> Path:
    """The layout of Keras 1 and 2, as `keras.engine.saving` writes it."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in layers], "S")
        if version:
            file.attrs["keras_version"] = np.bytes_(version.encode())
        for name, weights in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([key.encode() for key, _ in weights], "S")
            for key, array in weights:
                group[key] = array
    return path


def write_v3(path: Path, objects: dict[str, Iterable[np.ndarray]], name: str = "") -> Path:
    """The layout of a .weights.h5 file; objects in the order in which Keras writes them."""
    with h5py.File(path, "w") as file:
        own = file.create_group("vars")
        if name:
            own.attrs["name"] = name
        for place, values in objects.items():
            group = file.create_group(f"{place}/vars")
            for number, array in enumerate(values):
                group[str(number)] = array
    return path


def read(path: Path) -> Checkpoint:
    assert READER.sniff(path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.format == "keras-weights"
    return checkpoint


def layers_of(checkpoint: Checkpoint) -> dict[str, RecurrentLayer]:
    return {
        node.name: node.layer
        for node in checkpoint.network.nodes
        if isinstance(node.layer, RecurrentLayer)
    }


@pytest.mark.parametrize(
    ("version", "activation", "origin"),
    [
        ("2.4.0", "sigmoid", "class default"),
        ("2.3.1", "sigmoid", "class default"),
        ("2.2.4", "hard_sigmoid", "class default"),
        ("2.2.4-tf", "hard_sigmoid", "guess"),
        (None, "hard_sigmoid", "guess"),
    ],
)
def test_the_version_tells_the_defaults(
    path: Path, version: str | None, activation: str, origin: str
) -> None:
    """Keras 2.3 changed what gates are activated by; one version is of two TensorFlows."""
    write(path, {"lstm": cell("lstm", 3, 2)}, version)
    checkpoint = read(path)
    option = layers_of(checkpoint)["lstm"].cell.options.recurrent_activation
    assert (option.value, option.origin) == (activation, origin)
    assert checkpoint.hard_sigmoid == "hard_sigmoid"
    assert "weights alone" in checkpoint.notes[-1]


def test_keras_3_is_told_by_the_names_it_notes(path: Path) -> None:
    """Only it means clip(z / 6 + 0.5) by hard_sigmoid."""
    write_v3(path, {"layers/lstm/cell": arrays(3, 2)}, name="sequential")
    assert read(path).hard_sigmoid == "hard_sigmoid_keras3"
    write_v3(path, {"layers/lstm/cell": arrays(3, 2)})
    assert read(path).hard_sigmoid == "hard_sigmoid"


def test_keras_1_arrays_go_by_the_gate_in_their_name(path: Path) -> None:
    """In whatever order the file lists them; the core's order comes out."""
    parts = {
        f"lstm_1_{part}_{gate}": np.full(shape, ord(gate), "f4")
        for part, shape in (("W", (3, 2)), ("U", (2, 2)), ("b", (2,)))
        for gate in "oicf"
    }
    gru = {
        f"gru_1_{part}_{gate}:0": np.full(shape, ord(gate), "f4")
        for part, shape in (("W", (2, 2)), ("U", (2, 2)), ("b", (2,)))
        for gate in "zrh"
    }
    write(path, {"lstm_1": list(parts.items()), "gru_1": list(gru.items())}, None)
    found = layers_of(read(path))
    assert [chr(int(v)) for v in found["lstm_1"].cell.weights.bias[::2]] == ["i", "f", "c", "o"]
    assert [chr(int(v)) for v in found["gru_1"].cell.weights.kernel[0, ::2]] == ["r", "z", "h"]
    assert found["gru_1"].cell.options.reset_after.value is False


def test_keras_1_in_one_piece(path: Path) -> None:
    """consume_less='gpu': W, U, b, and a SimpleRNN."""
    layers = {
        "lstm_1": list(zip(("lstm_1_W", "lstm_1_U", "lstm_1_b"), arrays(3, 2), strict=True)),
        "simplernn_1": list(zip(("s_1_W:0", "s_1_U:0", "s_1_b:0"), arrays(2, 5, 1), strict=True)),
    }
    found = layers_of(read(write(path, layers, None)))
    assert [layer.cell.kind for layer in found.values()] == ["lstm", "simple_rnn"]
    assert list(found) == ["lstm_1", "simplernn_1/s_1"]


@pytest.mark.parametrize("bias", [(6,), (2, 6)])
def test_a_grus_bias_tells_where_it_resets(path: Path, bias: tuple[int, ...]) -> None:
    write(path, {"gru": cell("gru/gru_cell", 3, 2, 3, bias=bias)})
    options = layers_of(read(path))["gru"].cell.options
    assert options.reset_after.value is (len(bias) == 2)
    assert "row" in options.reset_after.detail


@pytest.mark.parametrize(
    ("version", "after", "origin"),
    [("2.2.4", False, "class default"), ("2.4.0", True, "class default"), (None, False, "guess")],
)
def test_without_a_bias_the_version_tells(
    path: Path, version: str | None, after: bool, origin: str
) -> None:
    write(path, {"gru": cell("gru", 3, 2, 3)[:2]}, version)
    option = layers_of(read(path))["gru"].cell.options.reset_after
    assert (option.value, option.origin) == (after, origin)


def in_gates(array: np.ndarray, gates: int, turn: Any) -> np.ndarray:
    """Each gate's block changed."""
    return np.hstack([turn(block) for block in np.hsplit(array, gates)])


@pytest.mark.parametrize(("gates", "kind"), [(4, "lstm"), (3, "gru")])
def test_cudnn_is_told_by_the_bias(path: Path, gates: int, kind: str) -> None:
    """Its blocks are turned back; its biases are summed, or a GRU's two rows."""
    kernel, recurrent, bias = arrays(5, 3, gates, bias=(2 * gates * 3,))
    # `_convert_rnn_weights` of Keras 2.2.4, from Keras' layout into cuDNN's.
    stored = [
        in_gates(kernel, gates, lambda block: block.T.reshape(block.shape)),
        in_gates(recurrent, gates, np.transpose),
        bias,
    ]
    found = layers_of(read(write_v3(path, {f"layers/cu_dnn{kind}": stored})))[f"cu_dnn{kind}"].cell
    order = {"lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}[kind]

    def ordered(array: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(array, gates, -1)[gate] for gate in order], -1)

    assert found.kind == kind
    assert found.source_class == f"keras CuDNN{kind.upper()}"
    np.testing.assert_array_equal(found.weights.kernel, ordered(kernel))
    np.testing.assert_array_equal(found.weights.recurrent_kernel, ordered(recurrent))
    first, second = bias.reshape(2, -1)
    if kind == "lstm":
        np.testing.assert_array_equal(found.weights.bias, first + second)
    else:
        np.testing.assert_array_equal(found.weights.bias, ordered(first))
        np.testing.assert_array_equal(found.weights.recurrent_bias, ordered(second))
    assert found.options.recurrent_activation.value == "sigmoid"


def test_both_directions_and_their_join(path: Path) -> None:
    """Named forward_ and backward_; what reads them has twice the width."""
    layers = {
        "input_1": [],
        "bi": cell("bi/forward_lstm/lstm_cell_1", 3, 2)
        + cell("bi/backward_lstm/lstm_cell_2", 3, 2),
        "top": cell("top/gru_cell", 4, 5, 3, bias=(2, 15)),
    }
    checkpoint = read(write(path, layers))
    found = layers_of(checkpoint)
    assert list(found) == ["bi/forward_lstm", "bi/backward_lstm", "top"]
    assert [layer.backward.value for layer in found.values()] == [False, True, False]
    assert [layer.padding.value for layer in found.values()] == ["zeros", "zeros", "hold"]
    network = checkpoint.network
    assert network.inputs == ("input_1",)
    assert network.node("bi").reads == ("bi/forward_lstm", "bi/backward_lstm")
    assert network.node("top").reads == ("bi",)
    assert {node.wiring for node in network.nodes} == {"guess"}


def test_a_join_that_does_not_widen_is_not_guessed(path: Path) -> None:
    """It adds, averages or multiplies: the file does not say which."""
    layers = {
        "bi": cell("bi/forward_lstm", 3, 2) + cell("bi/backward_lstm", 3, 2),
        "top": cell("top", 2, 5),
    }
    checkpoint = read(write(path, layers))
    assert isinstance(checkpoint.network.node("bi").layer, Unsupported)
    assert checkpoint.network.node("top").reads == ("bi",)


@pytest.mark.parametrize("end", ["", "_1"])
def test_a_stack_of_cells(path: Path, end: str) -> None:
    """tf.keras numbers the scopes of its cells, Keras 2.2 the variables."""
    second = "st/stacked_rnn_cells/lstm_cell_1" if not end else "st"
    first = "st/stacked_rnn_cells/lstm_cell" if not end else "st"
    layers = {"st": cell(first, 3, 4) + cell(second, 4, 2, end=end)}
    checkpoint = read(write(path, layers))
    assert list(layers_of(checkpoint)) == ["st/cell_0", "st"]
    assert checkpoint.network.node("st").reads == ("st/cell_0",)


def test_layers_of_a_nested_model(path: Path) -> None:
    """Below the model's group their own names stand; TensorFlow may have made one unique."""
    layers = {
        "encoder": cell("inner/lstm_cell", 3, 4) + cell("second/lstm_cell", 4, 2),
        "lstm": cell("lstm_1/lstm_cell", 2, 5),
    }
    assert list(layers_of(read(write(path, layers)))) == ["encoder/inner", "encoder/second", "lstm"]


def test_what_stands_between(path: Path) -> None:
    """Default names tell Masking and Dropout; a Dense keeps its activation to itself."""
    layers = {
        "input_1": [],
        "masking_1": [],
        "one": cell("one", 3, 4),
        "dropout_2": [],
        "two": cell("two", 4, 4),
        "dense": [("dense/kernel:0", np.ones((4, 6), "f4")), ("dense/bias:0", np.ones(6, "f4"))],
        "three": cell("three", 6, 2),
        "custom": [],
        "four": cell("four", 2, 2),
        "head": [("head/kernel:0", np.ones((2, 9), "f4"))],
    }
    checkpoint = read(write(path, layers))
    network = checkpoint.network
    kinds = {node.name: type(node.layer) for node in network.nodes if not node.recurrent}
    assert kinds == {
        "masking_1": Masking,
        "dropout_2": PassThrough,
        "dense": Unsupported,
        "custom": Unsupported,
    }
    assert [node.reads for node in network.recurrent] == [
        ("masking_1",), ("dropout_2",), ("dense",), ("custom",)
    ]  # fmt: skip
    assert [row.name for row in checkpoint.left_out] == [
        "dense/kernel:0", "dense/bias:0", "head/kernel:0"
    ]  # fmt: skip
    assert any("mask_value=0.0" in note for note in checkpoint.notes)


def test_an_embedding_is_looked_up(path: Path) -> None:
    """Its mask is not stored, and that is said."""
    layers = {
        "emb": [("emb/embeddings:0", np.ones((9, 3), "f4"))],
        "lstm": cell("lstm", 3, 2),
    }
    checkpoint = read(write(path, layers))
    assert isinstance(checkpoint.network.node("emb").layer, Embedding)
    assert checkpoint.network.node("lstm").reads == ("emb",)
    assert any("makes a mask from id 0 is not stored" in note for note in checkpoint.notes)


def test_a_width_that_does_not_fit_reads_an_input_of_its_own(path: Path) -> None:
    """An encoder, and a decoder with inputs of its own."""
    layers = {
        "input_1": [],
        "input_2": [],
        "encoder": cell("encoder/lstm_cell", 5, 8),
        "decoder": cell("decoder/lstm_cell", 4, 8),
    }
    network = read(write(path, layers)).network
    assert network.inputs == ("input_1", "input_2")
    assert [node.reads for node in network.recurrent] == [("input_1",), ("input_2",)]
    layers = {key: value for key, value in layers.items() if value}
    assert read(write(path, layers)).network.inputs == ("input", "input (4 features)")


def test_the_order_of_writing_is_the_order_of_layers(path: Path) -> None:
    """HDF5 lists groups by name; Keras writes them one after another."""
    objects = {
        "layers/masking": [],
        "layers/rnn/cell/cells/lstm_cell": arrays(3, 4),
        "layers/rnn/cell/cells/lstm_cell_1": arrays(4, 7),
        "layers/lstm/cell": arrays(7, 6),
        "layers/bidirectional/forward_layer/cell": arrays(6, 5),
        "layers/bidirectional/backward_layer/cell": arrays(6, 5),
        "layers/functional/layers/gru/cell": arrays(10, 2, 3, bias=(2, 6)),
        "optimizer": [np.ones(3)],
    }
    checkpoint = read(write_v3(path, objects))
    assert list(layers_of(checkpoint)) == [
        "rnn/cell_0",
        "rnn",
        "lstm",
        "bidirectional/forward_layer",
        "bidirectional/backward_layer",
        "functional/gru",
    ]
    assert [row.reason for row in checkpoint.left_out] == ["optimizer slot"]


def test_layers_that_are_attributes(path: Path) -> None:
    """A subclassed model keeps its layers, and lists of them, where its author put them."""
    objects = {
        "first": [],
        "first/cell": arrays(3, 4),
        "more/lstm/cell": arrays(4, 2),
        "head": [np.ones((2, 2), "f4"), np.ones(2, "f4")],
    }
    assert list(layers_of(read(write_v3(path, objects)))) == ["first", "more/lstm"]


def test_layers_that_are_attributes_beside_a_list_of_layers(path: Path) -> None:
    """Keras lists under ``layers`` only those that no attribute was visited for before."""
    objects = {
        "attention": [],
        "decoder/cell": arrays(5, 4),
        "fc": [np.ones((4, 2), "f4"), np.ones(2, "f4")],
        "layers/dense_1": [np.ones((2, 4), "f4"), np.ones(4, "f4")],
        "layers/lstm/cell": arrays(4, 2),
    }
    assert list(layers_of(read(write_v3(path, objects)))) == ["decoder", "lstm"]


def test_what_only_looks_like_a_cell_is_told(path: Path) -> None:
    """A convolutional LSTM, and a kernel that fits no number of gates."""
    conv = [
        ("conv/kernel:0", np.ones((3, 3, 2, 8), "f4")),
        ("conv/recurrent_kernel:0", np.ones((3, 3, 2, 8), "f4")),
        ("conv/bias:0", np.ones(8, "f4")),
    ]
    odd = [("odd/kernel:0", np.ones((3, 10), "f4")), ("odd/recurrent_kernel:0", np.ones((2, 10)))]
    checkpoint = read(write(path, {"conv": conv, "odd": odd, "lstm": cell("lstm", 3, 2)}))
    assert list(layers_of(checkpoint)) == ["lstm"]
    reasons = {row.name.split("/")[0]: row.reason for row in checkpoint.left_out}
    assert "fit no Keras cell" in reasons["conv"]
    assert "fit no Keras cell" in reasons["odd"]


def broken(path: Path, case: str) -> None:
    write(path, {"lstm": cell("lstm", 3, 2)})
    with h5py.File(path, "a") as file:
        if case == "missing layer":
            del file["lstm"]
        elif case == "missing weight":
            del file["lstm/lstm/bias:0"]
        elif case == "link":
            del file["lstm/lstm/bias:0"]
            file["lstm/lstm/bias:0"] = h5py.ExternalLink("other.h5", "/bias")
        elif case == "name":
            file.attrs["layer_names"] = np.array([b"a/../lstm//"], "S")
            file["a"] = file["lstm"]
            file["a/.."] = file["lstm"]
        elif case == "numbers for names":
            file.attrs["layer_names"] = np.arange(3)


@pytest.mark.parametrize(
    "case", ["missing layer", "missing weight", "link", "name", "numbers for names"]
)
def test_broken_files_end_in_a_message(path: Path, case: str) -> None:
    broken(path, case)
    with pytest.raises(CheckpointError) as raised:
        READER.read(path)
    assert raised.value.found


def test_models_nested_too_deep(path: Path) -> None:
    write_v3(path, {"layers/sequential/" * 30 + "layers/lstm/cell": arrays(3, 2)})
    with pytest.raises(CheckpointError, match=r"nested|too deep"):
        READER.read(path)


def test_other_hdf5_is_not_claimed(path: Path, tmp_path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["lstm/m"] = np.zeros(3)
    (tmp_path / "text.h5").write_text("no")
    for other in (path, tmp_path, tmp_path / "text.h5", tmp_path / "none"):
        assert not READER.sniff(other)


@pytest.mark.parametrize("layout", ["listed", "objects"])
def test_no_byte_that_is_wrong_gets_through_as_another_error(path: Path, layout: str) -> None:
    """Every 127th byte turned over, one at a time: a checkpoint, or a `CheckpointError`."""
    if layout == "listed":
        write(path, {"lstm": cell("lstm", 3, 2), "gru": cell("gru", 2, 2, 3)})
    else:
        write_v3(path, {"layers/lstm/cell": arrays(3, 2), "layers/gru/cell": arrays(2, 2, 3)})
    whole = path.read_bytes()
    for place in range(0, len(whole), 127):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            READER.sniff(path)
            READER.read(path)
        except CheckpointError:
            continue


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras, as the oracle."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("keras")


def everything(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((8, 5))
    y = layers.LSTM(4, return_sequences=True, name="one")(layers.Masking()(x))
    y = layers.Bidirectional(layers.GRU(3, return_sequences=True, name="gru"), name="bi")(
        layers.Dropout(0.1)(y)
    )
    y = layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True, name="st")(y)
    inner = keras.Sequential(
        [layers.Input((8, 3)), layers.GRU(4, reset_after=False, return_sequences=True, name="in")],
        name="sub",
    )
    return keras.Model(x, layers.SimpleRNN(2, return_sequences=True, name="top")(inner(y)))


def test_weights_that_keras_saved(keras: Any, tmp_path: Path) -> None:
    """With its defaults throughout, the guessed network returns what the model returns."""
    model = everything(keras)
    rng = np.random.default_rng(7)
    model.set_weights(
        [rng.standard_normal(w.shape).astype("f4") * 0.4 for w in model.get_weights()]
    )
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    x = rng.standard_normal((3, 8, 5)).astype("f4")
    x[0, 5:] = x[1, :2] = 0
    checkpoint = read(path)
    assert [node.name for node in checkpoint.network.recurrent] == [
        "one", "bi/forward_gru", "bi/backward_gru", "st/cell_0", "st", "sub/in", "top"
    ]  # fmt: skip
    signals = {checkpoint.network.inputs[0]: Signal(x)}
    for node in checkpoint.network.nodes:
        reads = [signals[name] for name in node.reads]
        if isinstance(node.layer, RecurrentLayer):
            states = run_layer(node.layer, reads[0].values, reads[0].mask)
            signals[node.name] = Signal(states.outputs, reads[0].mask)
        else:
            signals[node.name] = node.layer(*reads)
    np.testing.assert_allclose(
        signals["top"].values, np.asarray(model(x, training=False)), atol=2e-6
    )


def test_the_group_tells_the_direction_whatever_the_layers_name(path: Path) -> None:
    """A backward layer of one's own keeps its name; the attribute that holds it says backward."""
    groups = {f"layers/bidirectional/{end}_layer/cell": arrays(3, 2) for end in DIRECTIONS}
    layers = layers_of(read(write_v3(path, groups)))
    assert [layer.backward.value for layer in layers.values()] == [False, True]
    assert [layer.backward.detail for layer in layers.values()] == [
        "attribute forward_layer",
        "attribute backward_layer",
    ]


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("layers/my_lstm/cell", "its class is named 'my_lstm', which is none of Keras' own"),
        ("layers/rnn/cell/cells/gated_cell", "its cell is named 'gated_cell'"),
    ],
)
def test_arrays_of_a_cells_shapes_under_another_name_are_no_cell(
    path: Path, group: str, said: str
) -> None:
    """Shapes alone claim nothing."""
    checkpoint = read(write_v3(path, {group: arrays(3, 2)}))
    assert not checkpoint.network.recurrent
    assert all(said in entry.reason for entry in checkpoint.left_out)


def test_more_arrays_than_a_cell_has_refuse_it(path: Path) -> None:
    """The variable is named, be it in the cell or beside it."""
    own = {"layers/lstm/cell": arrays(3, 2), "layers/lstm/attention": [np.ones(3)]}
    checkpoint = read(write_v3(path, own))
    assert not checkpoint.network.recurrent
    assert "it has 'layers/lstm/attention/vars/0'" in checkpoint.left_out[0].reason


DIRECTIONS = ("forward", "backward")
