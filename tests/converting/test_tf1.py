"""TensorFlow restores the checkpoint that was written, and its kernels give the source's states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from converting.sources import source
from data.make_converted_tf1 import CASES, LENGTHS, ROOT, digest, source_of

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.converting.tf1_arrays import variables
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.files.tensorflow.bundle_writer import write_bundle

MASK = np.arange(6) < LENGTHS[:, None]


@pytest.fixture(scope="module")
def truth():
    with np.load(ROOT / "tests/data/converted/tf1_truth.npz") as file:
        return dict(file)


@pytest.mark.parametrize("case", CASES)
def test_the_lines_of_the_report_gave_the_sources_states(case, truth, tmp_path):
    """The bytes are those that TensorFlow's own cells restored; see ``make_converted_tf1``."""
    path = source_of(case, tmp_path)
    done = rnnscope.convert(path, "tf1", tmp_path / "out")
    assert digest(tmp_path / "out") == str(truth[f"{case}:sha256"])
    network = read_checkpoint(path).network
    for layer in done.layers:
        own = network.node(layer.name).recurrent
        scope, *direction = layer.written_as.split("/")[:-1]
        both = f"{case}:{scope}/fw:outputs" in truth
        place = f"{case}:{scope}/{direction[0]}" if both else f"{case}:{scope}"
        x = truth[f"{case}:{scope}:x"]
        padding = replace(own.padding, value="zeros")
        states = run_layer(replace(own, reversal="within length", padding=padding), x, MASK)
        outputs = states.outputs
        if direction and not both:  # the line turns x, and nothing turns the outputs back
            outputs = np.stack([
                np.concatenate([row[:n][::-1], row[n:]])
                for row, n in zip(outputs, LENGTHS, strict=True)
            ])  # fmt: skip
        tolerance = {"rtol": 0, "atol": 3e-6 if x.dtype == np.float32 else 1e-12}
        np.testing.assert_allclose(outputs, truth[f"{place}:outputs"], **tolerance)
        for state, values in states.final.items():
            np.testing.assert_allclose(values, truth[f"{place}:{state}"], **tolerance)


def _restored(tf, prefix):
    """Every variable, restored by a Saver in a session."""
    listed = dict(tf.train.list_variables(str(prefix)))
    dtypes = tf.train.load_checkpoint(str(prefix)).get_variable_to_dtype_map()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        made = {
            name: tf.compat.v1.get_variable(name, shape, dtypes[name], use_resource=False)
            for name, shape in listed.items()
        }
        tf.compat.v1.train.Saver().restore(session, str(prefix))
        return session.run(made)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["tf1 options", "keras 2 stack", "onnx lstm"])
def test_tensorflow_computes_the_sources_states(family, tmp_path):
    """BlockLSTM takes LSTMCell's variables: gates i, j, f, o, and the forget bias of the report."""
    import tensorflow as tf

    done = rnnscope.convert(source(family), "tf1", tmp_path / "out")
    stored = _restored(tf, tmp_path / "out" / "model.ckpt")
    network = read_checkpoint(source(family)).network
    rng = np.random.default_rng(2)
    used = set()
    for layer in done.layers:
        own = network.node(layer.name).recurrent
        arrays = {
            name.removeprefix(f"{layer.written_as}/"): array
            for name, array in stored.items()
            if name.startswith(f"{layer.written_as}/")
        }
        used |= {f"{layer.written_as}/{name}" for name in arrays}
        forget = own.cell.options.forget_bias.value
        told = f"LSTMCell({own.cell.num_units}, forget_bias={forget!r}"
        assert any(told in line for line in done.load)
        x = rng.normal(size=(3, 6, own.cell.input_size)).astype(own.cell.dtype)
        if own.cell.num_proj is not None:
            continue  # the kernel has no projection; the bits of its variables are compared below
        zeros = np.zeros(own.cell.num_units, x.dtype)
        turned = x[:, ::-1] if own.backward.value else x
        state = np.zeros((3, own.cell.num_units), x.dtype)
        _, c, _, _, _, _, m = tf.raw_ops.BlockLSTM(
            seq_len_max=np.int64(6), x=turned.swapaxes(0, 1), cs_prev=state, h_prev=state,
            w=arrays["kernel"], wci=zeros, wcf=zeros, wco=zeros, b=arrays["bias"],
            forget_bias=forget, cell_clip=-1.0, use_peephole=False,
        )  # fmt: skip
        states = run_layer(own, x).states
        for found, wanted in ((c, states["c"]), (m, states["m"])):
            steps = found.numpy().swapaxes(0, 1)
            steps = steps[:, ::-1] if own.backward.value else steps
            np.testing.assert_allclose(steps, wanted, rtol=0, atol=3e-6)
    assert used == stored.keys()


@pytest.mark.slow
def test_every_variable_is_restored_bit_for_bit(tmp_path):
    """Peepholes, projection and clips: all names of LSTMCell, nothing else."""
    import tensorflow as tf

    done = rnnscope.convert(source("tf1 options"), "tf1", tmp_path / "out")
    stored = _restored(tf, tmp_path / "out" / "model.ckpt")
    own = read_checkpoint(source("tf1 options")).network.node(done.layers[0].name).recurrent
    wanted = {f"{done.layers[0].written_as}/{key}": one for key, one in variables(own.cell).items()}
    assert stored.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(stored[name], array)
    original = source("tf1 options").parent / "model.ckpt"
    reader = tf.train.load_checkpoint(str(original))
    for name, array in stored.items():
        short = name.removeprefix("rnn_lstm_cell/lstm_cell/")
        np.testing.assert_array_equal(array, reader.get_tensor(f"rnn/lstm_cell/{short}"))


@pytest.mark.slow
def test_a_bundle_of_many_names_and_dtypes(tmp_path):
    """TensorFlow's reader finds every one, and its checksums hold."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    arrays = {
        f"scope_{number}/{name}": rng.normal(size=shape).astype(dtype)
        for number in range(40)
        for name, shape, dtype in (("a", (3, 2), "f4"), ("b", (), "f8"), ("c", (0, 4), "f4"))
    }
    write_bundle(tmp_path / "many", arrays)
    reader = tf.train.load_checkpoint(str(tmp_path / "many"))
    assert set(reader.get_variable_to_shape_map()) == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(reader.get_tensor(name), array)
