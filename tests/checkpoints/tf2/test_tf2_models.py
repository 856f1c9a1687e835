"""Object-based checkpoints and SavedModels of TensorFlow 2, against Keras' own layers."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.tf2 import object_checkpoint, saved_model
from rnnscope.checkpoints.tf2.trackable import GRAPH_KEY, ObjectGraph
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.bundle import TensorBundle
from rnnscope.model.signal import Signal

RNG = np.random.default_rng(9)
X = RNG.normal(size=(3, 6, 5)).astype(np.float32)
X[1, 4:] = 0
X[2, 2:] = 0


@pytest.fixture(scope="module")
def keras(tf):
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def built(tf, keras, tmp_path_factory):
    """`built(name, *layers)`: a Sequential model, saved as checkpoint and export, once each."""
    made = {}
    folder = tmp_path_factory.mktemp("keras")

    def build(name, *layers, train=False):
        if name not in made:
            model = keras.Sequential([keras.Input((6, 5)), *layers])
            for weight in model.weights:
                weight.assign(RNG.normal(size=weight.shape).astype(np.float32) * 0.6)
            if train:
                model.compile("adam", "mse")
                target = np.zeros(model(X).shape, np.float32)
                model.fit(X, target, epochs=1, verbose=0)
            tf.train.Checkpoint(model=model).save(str(folder / name / "ckpt"))
            model.export(str(folder / name / "export"), verbose=False)
            np.savez(folder / name / "in.npz", x=X)
            made[name] = model
        return made[name], folder / name

    return build


@pytest.fixture
def outputs(rnnscope, read_trace, tmp_path):
    """`outputs(path, inputs, *flags)`: the outputs of the last recurrent layer in the trace."""

    def run(path, inputs, *flags):
        trace = tmp_path / "trace.h5"
        done = rnnscope("run", path, inputs, "-o", trace, "--quiet", "--force", *flags)
        assert done.code == 0, done.stderr
        name = read_checkpoint(path).network.recurrent[-1].name
        return read_trace(trace)[f"{name}/outputs"]

    return run


MODELS = {
    "stack": lambda k: [k.layers.LSTM(4, return_sequences=True), k.layers.Dropout(0.2),
                        k.layers.LSTM(3, return_sequences=True)],
    "gru": lambda k: [k.layers.GRU(4, return_sequences=True)],
    "gru_before": lambda k: [k.layers.GRU(4, return_sequences=True, reset_after=False)],
    "simple": lambda k: [k.layers.SimpleRNN(4, return_sequences=True)],
    "relu": lambda k: [k.layers.LSTM(4, return_sequences=True, activation="relu")],
    "hard": lambda k: [k.layers.LSTM(4, return_sequences=True,
                                     recurrent_activation="hard_sigmoid")],
    "back": lambda k: [k.layers.LSTM(4, return_sequences=True, go_backwards=True)],
    "mask": lambda k: [k.layers.Masking(), k.layers.LSTM(4, return_sequences=True)],
    "no_bias": lambda k: [k.layers.LSTM(4, return_sequences=True, use_bias=False)],
}  # fmt: skip
FLAGS = {
    "relu": ["--activation", "relu"],
    "hard": ["--recurrent-activation", "hard_sigmoid"],
    "back": ["--go-backwards"],
    "mask": ["--lengths", "6,4,2"],
}
"""What a checkpoint of weights does not say."""


@pytest.mark.parametrize("name", MODELS)
def test_an_export_says_all_that_is_needed(keras, built, outputs, name):
    """Activations, directions and masks are read from the functions of the signature."""
    model, folder = built(name, *MODELS[name](keras))
    found = outputs(folder / "export", folder / "in.npz")
    np.testing.assert_allclose(found, model(X).numpy(), atol=5e-6)
    cell = read_checkpoint(folder / "export").network.recurrent[-1].recurrent.cell
    assert cell.options.activation.origin == "graph"


@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_needs_flags_for_what_weights_do_not_hold(keras, built, outputs, name):
    model, folder = built(name, *MODELS[name](keras))
    found = outputs(folder / "ckpt-1", folder / "in.npz", *FLAGS.get(name, []))
    np.testing.assert_allclose(found, model(X).numpy(), atol=5e-6)
    checkpoint = read_checkpoint(folder / "ckpt-1")
    assert checkpoint.format == "tf2-checkpoint"
    assert checkpoint.hard_sigmoid == "hard_sigmoid_keras3"
    cell = checkpoint.network.recurrent[-1].recurrent.cell
    assert cell.options.activation.origin == "class default"
    assert "guesses" in checkpoint.notes[0]


def test_weights_reached_through_an_optimizer_alone_are_found(keras, built, outputs):
    layers = [
        keras.layers.LSTM(4, return_sequences=True),
        keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True), name="bi"),
        keras.layers.Dense(2),
    ]
    model, folder = built("trained", *layers, train=True)
    checkpoint = read_checkpoint(folder / "ckpt-1")
    first, forward, backward = checkpoint.network.recurrent
    assert "optimizer/_trainable_variables/0" in first.recurrent.cell.variables[0]
    np.testing.assert_array_equal(first.recurrent.cell.weights.kernel, model.weights[0].numpy())
    assert (forward.recurrent.backward.value, backward.recurrent.backward.value) == (False, True)
    assert forward.reads == backward.reads == (first.name,)
    reasons = {entry.name: entry.reason for entry in checkpoint.left_out}
    slots = [name for name, reason in reasons.items() if reason == "optimizer slot"]
    assert "model/optimizer/_iterations/.ATTRIBUTES/VARIABLE_VALUE" in slots
    dense = "model/optimizer/_trainable_variables/9/.ATTRIBUTES/VARIABLE_VALUE"
    assert reasons[dense] == "dense layer"
    merged = outputs(folder / "export", folder / "in.npz")
    bi = model.layers[1](model.layers[0](X)).numpy()
    assert np.abs(merged - bi[..., 3:]).max() < 5e-6 or np.abs(merged - bi[..., :3]).max() < 5e-6


def test_a_subclassed_model_is_read_by_its_attributes(tf, keras, tmp_path):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = keras.layers.LSTM(4, return_sequences=True)
            self.second = keras.layers.GRU(3)

        def call(self, x):
            return self.second(self.first(x))

    model = Model()
    model(X)
    tf.train.Checkpoint(model=model).save(str(tmp_path / "ckpt"))
    nodes = read_checkpoint(tmp_path / "ckpt-1").network.recurrent
    assert [(node.name, node.recurrent.cell.kind) for node in nodes] == [
        ("model/first", "lstm"),
        ("model/second", "gru"),
    ]
    assert nodes[1].reads == ("model/first",)


def test_a_dense_layer_between_is_an_obstacle_and_named(keras, built, rnnscope, tmp_path):
    layers = [
        keras.layers.LSTM(4, return_sequences=True),
        keras.layers.Dense(4),
        keras.layers.LSTM(3),
    ]
    _, folder = built("dense", *layers)
    done = rnnscope("run", folder / "ckpt-1", folder / "in.npz", "-o", tmp_path / "t.h5")
    assert done.code == 0
    assert "has an activation that the checkpoint does not hold" in " ".join(done.stdout.split())


def test_readers_share_the_bundle_but_not_its_files(keras, built, small):
    _, folder = built("gru", *MODELS["gru"](keras))
    assert object_checkpoint.sniff(folder / "ckpt-1")
    assert object_checkpoint.sniff(folder)
    assert not object_checkpoint.sniff(small.prefix)
    assert not object_checkpoint.sniff(folder / "export")
    assert saved_model.sniff(folder / "export")
    assert not saved_model.sniff(folder)


def test_an_object_graph_that_points_nowhere_is_damaged(tf, tmp_path):
    from rnnscope.files.tensorflow.proto_schema import message_class

    graph = message_class("TrackableObjectGraph")()
    graph.nodes.add().children.add(node_id=7, local_name="model")
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "ckpt"),
        tensor_names=[GRAPH_KEY, "model/kernel/.ATTRIBUTES/VARIABLE_VALUE"],
        shape_and_slices=["", ""],
        tensors=[tf.constant(graph.SerializeToString()), tf.zeros([3, 4])],
    )
    with pytest.raises(CheckpointError, match="object graph of a checkpoint is damaged"):
        ObjectGraph.read(TensorBundle.open(tmp_path / "ckpt"))


def test_objects_that_hold_each_other_end(tf, tmp_path):
    """A cycle in the object graph, as ``root`` of ``save_weights`` makes one."""
    model = tf.Module()
    model.root, model.inner = model, tf.Module()
    model.inner.back = model
    tf.train.Checkpoint(model=model).save(str(tmp_path / "ckpt"))
    checkpoint = read_checkpoint(tmp_path / "ckpt-1")
    assert not checkpoint.network.recurrent


def test_a_truncated_saved_model_is_an_error(keras, built, tmp_path):
    _, folder = built("gru", *MODELS["gru"](keras))
    shutil.copytree(folder / "export", tmp_path / "export")
    path = tmp_path / "export" / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "export")


@pytest.mark.parametrize("kind", ["stack", "back", "both", "last"])
def test_what_an_export_computes_behind_its_layers(keras, built, kind):
    """The functions of a signature hold dense layers, too, of outputs as layers return them."""
    layers = keras.layers
    recurrent = {
        "stack": [layers.LSTM(4, return_sequences=True), layers.LSTM(3, return_sequences=True)],
        "back": [layers.LSTM(4, return_sequences=True, go_backwards=True)],
        "both": [layers.Bidirectional(layers.LSTM(3, return_sequences=True))],
        "last": [layers.LSTM(4)],
    }[kind]
    behind = [layers.Dense(4, activation="relu"), layers.Dense(2, activation="softmax")]
    model, folder = built(f"behind_{kind}", *recurrent, *behind)
    found = {one.name: one for one in read_checkpoint(folder / "export").later_results()}
    result = next(one for one in found.values() if one.layer.kind.endswith("Softmax"))
    returned, truth = X, model(X).numpy()
    for layer in model.layers[:-2]:
        returned = layer(returned)
    returned = returned.numpy()
    signals = [Signal(returned)]
    if kind == "both":
        signals = [Signal(part) for part in np.split(returned, 2, axis=-1)]
        assert ["forward" in name for name in result.reads] == [True, False]
    if kind == "last":
        lstm = keras.layers.LSTM(4, return_sequences=True)
        lstm.build((None, 6, 5))
        lstm.set_weights(model.layers[0].get_weights())
        signals = [Signal(lstm(X).numpy())]
    np.testing.assert_allclose(result.layer(*signals).values, truth, rtol=0, atol=5e-6)
