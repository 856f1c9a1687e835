"""Models built and saved by the installed Keras, read as data, computed, compared with Keras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import UnsupportedCellError
from rnnscope.model.network import Network
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.model.states import LayerStates

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning"),
]

FORMATS = ("model.h5", "model.keras")


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras, as the oracle; imported here, so that collecting the tests stays quick."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("keras")


def example(seed: int = 5) -> np.ndarray:
    """Three sequences of eight steps: zeros at the end, at the front and in between."""
    x = np.random.default_rng(seed).standard_normal((3, 8, 5)).astype(np.float32)
    x[0, 5:] = x[1, :2] = x[2, 3] = 0
    return x


def save(model: Any, path: Path) -> None:
    """Give a model random weights (variances positive) and save it."""
    rng = np.random.default_rng(3)
    model.set_weights(
        [
            (
                rng.uniform(0.5, 1.5, value.shape)
                if "variance" in variable.name
                else rng.standard_normal(value.shape) * 0.4
            ).astype(value.dtype)
            for variable, value in zip(model.weights, model.get_weights(), strict=True)
        ]
    )
    model.save(path)


def compute(network: Network, inputs: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Run every node in order; by name, what it hands on."""
    signals = {name: Signal(x) for name, x in zip(network.inputs, inputs, strict=True)}
    for node in network.nodes:
        read = [signals[name] for name in node.reads]
        if isinstance(node.layer, RecurrentLayer):
            signals[node.name] = _returned(node.layer, read[0])
        else:
            signals[node.name] = node.layer(*read)
    return {name: signal.values for name, signal in signals.items()}


def _returned(layer: RecurrentLayer, x: Signal) -> Signal:
    states: LayerStates = run_layer(layer, x.values.astype(layer.cell.dtype), x.mask)
    if layer.return_sequences:
        return Signal(states.outputs, x.mask)
    first = layer.backward.value and layer.outputs_in_input_order
    return Signal(states.outputs[:, 0 if first else -1])


def stacked(keras: Any) -> Any:
    """Every plain layer that can stand between two LSTMs."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 5)),
            layers.BatchNormalization(),
            layers.LSTM(4, return_sequences=True),
            layers.Dropout(0.5),
            layers.TimeDistributed(layers.Dense(3, activation="tanh")),
            layers.LayerNormalization(),
            layers.LSTM(3, go_backwards=True, return_sequences=True),
            layers.Dense(6, activation="relu"),
            layers.SpatialDropout1D(0.2),
            layers.LSTM(2),
        ]
    )


def bidirectional(keras: Any, mode: str, *, last: bool = False) -> Any:
    x = keras.Input((8, 5))
    inner = keras.layers.LSTM(4, return_sequences=not last)
    y = keras.layers.Bidirectional(inner, merge_mode=mode, name="bi")(keras.layers.Masking()(x))
    return keras.Model(x, y if last else keras.layers.LSTM(3, return_sequences=True)(y))


def own_backward(keras: Any) -> Any:
    """A Bidirectional whose second direction was given."""
    backward = keras.layers.LSTM(
        4, return_sequences=True, go_backwards=True, activation="relu", name="mine"
    )
    inner = keras.layers.LSTM(4, return_sequences=True)
    x = keras.Input((8, 5))
    return keras.Model(x, keras.layers.Bidirectional(inner, backward_layer=backward)(x))


def nested(keras: Any) -> Any:
    """A Functional in a Functional in a Functional, with a mask from outside."""
    layers = keras.layers
    a = keras.Input((8, 5))
    inner = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="bi")(a)
    innermost = keras.Model(a, layers.LSTM(3, return_sequences=True, name="last")(inner), name="in")
    b = keras.Input((8, 5))
    middle = keras.Model(b, layers.Dense(4)(innermost(b)), name="mid")
    x = keras.Input((8, 5))
    return keras.Model(x, layers.LSTM(2, name="top")(middle(layers.Masking()(x))))


def nested_sequential(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential(
        [
            layers.Input((8, 5)),
            layers.LSTM(4, return_sequences=True),
            layers.BatchNormalization(),
            layers.LSTM(3, return_sequences=True),
        ],
        name="sub",
    )
    x = keras.Input((8, 5))
    return keras.Model(x, layers.LSTM(3)(inner(x)))


def nested_last(keras: Any) -> Any:
    """A nested model at the end: Keras 3 counts its making among the calls, there alone."""
    a = keras.Input((8, 5))
    inner = keras.Model(a, keras.layers.LSTM(3)(a), name="inner")
    x = keras.Input((8, 5))
    return keras.Model(x, inner(keras.layers.Masking()(x)))


def formulas(keras: Any) -> Any:
    """Operations on tensors; none of them hands on the mask."""
    ops, layers = keras.ops, keras.layers
    x = keras.Input((8, 5))
    y = layers.LSTM(5, return_sequences=True)(layers.Masking()(x))
    y = 1 - (x + y) * 2.0 / 3.0
    y = ops.concatenate([ops.tanh(-y), ops.maximum(x, y)], axis=-1)
    y = layers.GRU(4, return_sequences=True)(y[:, 1:, 2:])
    joined = ops.concatenate([y[:, -1], y[:, 0, :]], axis=1)
    return keras.Model(x, layers.LSTM(3)(layers.RepeatVector(2)(ops.relu(joined))))


def residual(keras: Any) -> Any:
    """The mask reaches the second LSTM through an Add."""
    x = keras.Input((8, 5))
    masked = keras.layers.Masking()(x)
    y = keras.layers.LSTM(5, return_sequences=True)(masked)
    return keras.Model(x, keras.layers.LSTM(3)(keras.layers.Add()([masked, y])))


def encoder_repeat_decoder(keras: Any) -> Any:
    x = keras.Input((8, 5))
    y = keras.layers.RepeatVector(4)(keras.layers.LSTM(4)(x))
    return keras.Model(x, keras.layers.LSTM(3, return_sequences=True)(y))


def stacked_cells(keras: Any) -> Any:
    """RNN of a list of cells: a stack of layers, here read backwards."""
    layers = keras.layers
    x = keras.Input((8, 5))
    rnn = layers.RNN(
        [layers.LSTMCell(4), layers.LSTMCell(3)], return_sequences=True, go_backwards=True
    )
    return keras.Model(x, rnn(layers.Masking()(x)))


def mixed_cells(keras: Any) -> Any:
    """A stack of all three cells: Keras counts the weights of each class by themselves."""
    layers = keras.layers
    cells = [
        layers.GRUCell(4),
        layers.LSTMCell(3),
        layers.GRUCell(5, reset_after=False),
        layers.SimpleRNNCell(4, activation="relu"),
    ]
    x = keras.Input((8, 5))
    return keras.Model(x, layers.RNN(cells, return_sequences=True)(layers.Masking()(x)))


def wrapped_cells(keras: Any) -> Any:
    """Both directions of a stack of cells."""
    layers = keras.layers
    rnn = layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)], return_sequences=True)
    x = keras.Input((8, 5))
    return keras.Model(x, layers.Bidirectional(rnn, merge_mode="sum")(layers.Masking()(x)))


def final_states(keras: Any) -> Any:
    """Final states of m read as inputs: by a mask, at either end, and what such layers return."""
    layers = keras.layers
    x = keras.Input((8, 5))
    masked = layers.Masking()(x)
    _, first = layers.GRU(4, return_sequences=True, return_state=True)(masked)
    _, second, _ = layers.LSTM(4, return_state=True)(masked)
    back = layers.Bidirectional(layers.GRU(4, return_sequences=True, return_state=True))
    _, third, fourth = back(masked)
    joined = layers.Concatenate()([first, second, third, fourth])
    return keras.Model(x, layers.GRU(3)(layers.RepeatVector(3)(layers.Dense(5)(joined))))


def any_layer(keras: Any, name: str, **kwargs: Any) -> Any:
    x = keras.Input((8, 5))
    y = keras.layers.Masking()(x)
    return keras.Model(x, getattr(keras.layers, name)(4, return_sequences=True, **kwargs)(y))


def bidirectional_of(keras: Any, name: str) -> Any:
    x = keras.Input((8, 5))
    inner = getattr(keras.layers, name)(4, return_sequences=True)
    return keras.Model(x, keras.layers.Bidirectional(inner)(keras.layers.Masking()(x)))


def options(keras: Any, **kwargs: Any) -> Any:
    x = keras.Input((8, 5))
    y = keras.layers.Masking()(x)
    return keras.Model(x, keras.layers.LSTM(4, return_sequences=True, **kwargs)(y))


MODELS = {
    "stacked": stacked,
    **{
        f"bidirectional-{mode}": lambda keras, mode=mode: bidirectional(keras, mode)
        for mode in ("concat", "sum", "ave", "mul")
    },
    "bidirectional-last": lambda keras: bidirectional(keras, "concat", last=True),
    "own-backward": own_backward,
    "nested": nested,
    "nested-sequential": nested_sequential,
    "nested-last": nested_last,
    "formulas": formulas,
    "residual": residual,
    "encoder-repeat-decoder": encoder_repeat_decoder,
    "stacked-cells": stacked_cells,
    "mixed-cells": mixed_cells,
    "wrapped-cells": wrapped_cells,
    "final-states": final_states,
    "gru": lambda keras: any_layer(keras, "GRU"),
    "gru-reset-before": lambda keras: any_layer(keras, "GRU", reset_after=False),
    "gru-no-bias": lambda keras: any_layer(keras, "GRU", use_bias=False, activation="relu"),
    "gru-hard-sigmoid": lambda keras: any_layer(
        keras, "GRU", recurrent_activation="hard_sigmoid", go_backwards=True
    ),
    "gru-float64": lambda keras: any_layer(keras, "GRU", dtype="float64"),
    "gru-zero-output": lambda keras: any_layer(keras, "GRU", zero_output_for_mask=True),
    "gru-leaky-relu": lambda keras: any_layer(keras, "GRU", activation="leaky_relu"),
    "simple": lambda keras: any_layer(keras, "SimpleRNN"),
    "simple-no-bias": lambda keras: any_layer(keras, "SimpleRNN", use_bias=False),
    "bidirectional-gru": lambda keras: bidirectional_of(keras, "GRU"),
    "bidirectional-simple": lambda keras: bidirectional_of(keras, "SimpleRNN"),
    "no-bias": lambda keras: options(keras, use_bias=False),
    "relu": lambda keras: options(keras, activation="relu"),
    "silu-and-hard-sigmoid": lambda keras: options(
        keras, activation="silu", recurrent_activation="hard_sigmoid"
    ),
    "zero-output-for-mask": lambda keras: options(keras, zero_output_for_mask=True),
    "backward-masked": lambda keras: options(keras, go_backwards=True),
    "float64": lambda keras: options(keras, dtype="float64"),
}


@pytest.mark.parametrize("file", FORMATS)
@pytest.mark.parametrize("case", MODELS)
def test_read_and_computed_as_keras_does(keras: Any, tmp_path: Path, case: str, file: str) -> None:
    """The last node returns what the model returns."""
    model = MODELS[case](keras)
    save(model, tmp_path / file)
    x = example()
    expected = np.asarray(model(x, training=False))
    network = read_checkpoint(tmp_path / file).network
    got = compute(network, [x])[network.nodes[-1].name]
    assert got.dtype == expected.dtype
    # float64 differs as TensorFlow's own tanh does from the C library's.
    np.testing.assert_allclose(got, expected, atol=1e-12 if got.dtype == np.float64 else 2e-6)


@pytest.mark.parametrize("file", FORMATS)
def test_embedding_in_front(keras: Any, tmp_path: Path, file: str) -> None:
    """Ids go in; the mask of id 0 reaches both LSTMs."""
    ids = np.random.default_rng(1).integers(1, 20, (3, 8))
    ids[0, 5:] = ids[1, :2] = 0
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Embedding(20, 6, mask_zero=True, name="words"),
            layers.LSTM(4, return_sequences=True),
            layers.LSTM(3),
        ]
    )
    expected = model(ids)
    save(model, tmp_path / file)
    network = read_checkpoint(tmp_path / file).network
    assert [str(node.recurrent.lengths.value) for node in network.recurrent if node.recurrent] == [
        "mask of layer 'words'"
    ] * 2
    expected = np.asarray(model(ids))
    np.testing.assert_allclose(compute(network, [ids])[network.nodes[-1].name], expected, atol=2e-6)


@pytest.mark.parametrize("file", FORMATS)
@pytest.mark.parametrize("merge", ["Concatenate", "Add"])
def test_two_masked_inputs(keras: Any, tmp_path: Path, merge: str, file: str) -> None:
    """Keras 3 spells the joined mask out as operations; they are recognised and dropped."""
    inputs = [keras.Input((8, 5)), keras.Input((8, 5))]
    merged = getattr(keras.layers, merge)()([keras.layers.Masking()(x) for x in inputs])
    model = keras.Model(inputs, keras.layers.LSTM(3, return_sequences=True)(merged))
    save(model, tmp_path / file)
    data = [example(), np.flip(example(6), 0).copy()]
    network = read_checkpoint(tmp_path / file).network
    assert [node.layer.kind for node in network.nodes if not node.recurrent] == [
        "Masking",
        "Masking",
        merge,
    ]
    expected = np.asarray(model(data))
    np.testing.assert_allclose(compute(network, data)[network.nodes[-1].name], expected, atol=2e-6)


@pytest.mark.parametrize("file", FORMATS)
def test_shared_layer_and_merge_mode_none(keras: Any, tmp_path: Path, file: str) -> None:
    """A second call of a layer is a node of its own; without a merge the directions are read."""
    layers = keras.layers
    inputs = [keras.Input((8, 5), name="question"), keras.Input((8, 5), name="answer")]
    shared = layers.LSTM(4, return_sequences=True, name="shared")
    first, second = (shared(x) for x in inputs)
    forward, backward = layers.Bidirectional(
        layers.LSTM(3, return_sequences=True), merge_mode=None, name="bi"
    )(layers.Subtract()([first, second]))
    model = keras.Model(inputs, layers.LSTM(2)(layers.Concatenate()([forward, backward])))
    save(model, tmp_path / file)
    network = read_checkpoint(tmp_path / file).network
    assert network.inputs == ("question", "answer")
    names = [node.name for node in network.recurrent]
    assert names[:2] == ["shared", "shared@2"]
    assert [name.split("_")[0] for name in names[2:4]] == ["bi/forward", "bi/backward"]
    data = [example(), example(6)]
    np.testing.assert_allclose(
        compute(network, data)[network.nodes[-1].name], np.asarray(model(data)), atol=2e-6
    )


@pytest.mark.parametrize("file", FORMATS)
def test_initial_state_is_told_and_wired(keras: Any, tmp_path: Path, file: str) -> None:
    """The decoder reads x, and starts from the node whose h and c it is called with."""
    x = keras.Input((8, 5))
    y, h, c = keras.layers.LSTM(4, return_state=True, return_sequences=True, name="enc")(x)
    model = keras.Model(x, keras.layers.LSTM(4, name="dec")(y, initial_state=[h, c]))
    save(model, tmp_path / file)
    node = read_checkpoint(tmp_path / file).network.node("dec")
    assert node.reads == ("enc",)
    assert node.listed_inputs == ("enc", "enc")
    assert node.recurrent is not None
    assert node.recurrent.starts_from_layers == ("enc",)
    assert node.recurrent.initial_state.origin == "config"
    assert str(node.recurrent.initial_state.value) == (
        "h from h of layer 'enc', c from c of layer 'enc'"
    )
    # Keras 3 hands no mask to a layer that is called on more than one tensor.
    assert node.recurrent.padding.value == "none"


@pytest.mark.parametrize("file", FORMATS)
def test_a_mask_of_ones_own_is_not_taken_for_a_layers(
    keras: Any, tmp_path: Path, file: str
) -> None:
    """It stands in front of the LSTM as a node that cannot be computed."""
    x = keras.Input((8, 5))
    mask = keras.ops.any(keras.ops.not_equal(x, 0.5), axis=-1)
    save(keras.Model(x, keras.layers.LSTM(3, name="rnn")(x, mask=mask)), tmp_path / file)
    network = read_checkpoint(tmp_path / file).network
    assert network.node("rnn").reads == ("rnn[mask]",)
    with pytest.raises(UnsupportedCellError, match="'any"):
        compute(network, [example()])


@pytest.mark.parametrize("file", FORMATS)
def test_what_is_not_computed_is_named_and_the_rest_is_there(
    keras: Any, tmp_path: Path, file: str
) -> None:
    """An operation and a layer: nodes of the network, rows of what was left out."""
    layers = keras.layers
    x = keras.Input((8, 5))
    y = keras.ops.cumsum(layers.Identity(name="same")(x), axis=1)
    y = layers.Conv1DTranspose(4, 3, padding="same", name="conv")(y)
    save(keras.Model(x, layers.LSTM(3, name="rnn")(y)), tmp_path / file)
    checkpoint = read_checkpoint(tmp_path / file)
    assert [node.name for node in checkpoint.network.recurrent] == ["rnn"]
    assert {row.reason.split(":")[0] for row in checkpoint.left_out} == {
        "Cumsum",
        "Conv1DTranspose",
    }
    with pytest.raises(UnsupportedCellError, match=r"'cumsum.*' of class Cumsum"):
        compute(checkpoint.network, [example()])


def trained(keras: Any, path: Path) -> Checkpoint:
    x = keras.Input((8, 5))
    y = keras.layers.Dense(2, name="head")(keras.layers.LSTM(3, name="rnn", stateful=False)(x))
    model = keras.Model(x, y)
    model.compile("adam", "mse")
    model.fit(example(), np.zeros((3, 2)), verbose=0)
    model.save(path)
    return read_checkpoint(path)


@pytest.mark.parametrize("file", FORMATS)
def test_a_trained_model(keras: Any, tmp_path: Path, file: str) -> None:
    """The optimizer's slots and the head are left out, each variable with its shape."""
    checkpoint = trained(keras, tmp_path / file)
    assert checkpoint.framework == f"Keras {keras.__version__}"
    assert checkpoint.format == {"model.h5": "keras-h5", "model.keras": "keras-v3"}[file]
    reasons = [row.reason for row in checkpoint.left_out]
    assert reasons.count("dense layer") == 2
    assert reasons.count("optimizer slot") >= 10
    assert (12,) in {row.shape for row in checkpoint.left_out}
    (node,) = checkpoint.network.recurrent
    assert node.recurrent is not None
    cell = node.recurrent.cell
    assert (cell.input_size, cell.num_units) == (5, 3)
    assert len(cell.variables) == 3
    assert cell.options.forget_bias.value == 0


def test_reading_imports_no_framework(keras: Any, tmp_path: Path) -> None:
    """A model file is data: neither TensorFlow nor Keras is loaded to read it."""
    path = tmp_path / "model.keras"
    save(MODELS["nested"](keras), path)
    code = (
        "import sys; from pathlib import Path; from rnnscope.checkpoints import read_checkpoint;"
        f"read_checkpoint(Path({str(path)!r}));"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
