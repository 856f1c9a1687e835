"""Saver V1: one table file or shards, read as TensorFlow reads them, never silently half."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.tf1.saver_v1 import sniff
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.v1_table import V1Table, is_v1_table

RNG = np.random.default_rng(3)
KERNEL = RNG.normal(size=(5, 12)).astype(np.float32)

PLAIN = {
    "kernel": KERNEL,
    "double": RNG.normal(size=(2, 3)),
    "step": np.array(7, np.int64),
    "int": np.arange(4, dtype=np.int32),
    "flags": np.array([True, False]),
    "repeated": np.zeros((300, 40), np.float32),  # so that snappy has something to do
    "empty": np.zeros((0, 3), np.float32),
}


def save(tf, path, tensors, slices=None):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        names = list(tensors)
        session.run(
            tf.raw_ops.SaveSlices(
                filename=str(path),
                tensor_names=names,
                shapes_and_slices=[(slices or {}).get(name, "") for name in names],
                data=[tf.constant(value) for value in tensors.values()],
            )
        )


@pytest.fixture(scope="module")
def plain(tf, tmp_path_factory):
    path = tmp_path_factory.mktemp("v1") / "model.ckpt"
    save(tf, path, PLAIN)
    return path


def test_every_dtype_and_shape_reads_as_it_was(plain):
    table = V1Table.open([plain])
    assert set(table.variables) == set(PLAIN)
    for name, value in PLAIN.items():
        read = table.read(name)
        assert (read.dtype, read.shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(read, value)


def test_slices_of_one_variable_are_joined_across_shards(tf, tmp_path):
    """Two shards, each with its columns of the kernel, as a partitioner leaves them."""
    for number, columns in enumerate([slice(0, 5), slice(5, 12)]):
        part = f"5 12 0,5:{columns.start},{columns.stop - columns.start}"
        path = tmp_path / f"model.ckpt-0000{number}-of-00002"
        save(tf, path, {"kernel": KERNEL[:, columns]}, {"kernel": part})
    files = sorted(tmp_path.iterdir())
    table = V1Table.open(files)
    assert table.variables["kernel"].parts == 2
    np.testing.assert_array_equal(table.read("kernel"), KERNEL)
    with pytest.raises(CheckpointError, match="slices of 60 elements"):
        V1Table.open(files[:1]).read("kernel")


def test_a_v2_index_is_no_v1_table(small, plain):
    assert is_v1_table(plain)
    assert not is_v1_table(Path(f"{small.prefix}.index"))
    assert not is_v1_table(small.inputs)
    assert not is_v1_table(plain.parent / "none")


@pytest.fixture(scope="module")
def model(tf1_at, tmp_path_factory):
    """An LSTM saved by a Saver V1, with a .meta, beside TensorFlow's own outputs."""
    tf1 = tf1_at(tmp_path_factory.mktemp("saver"))
    v1, tf = tf1.v1, tf1.tf
    x = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        outputs, _ = v1.nn.dynamic_rnn(
            tf1.cell(4, forget_bias=0.6), tf1.placeholder(), dtype="float32"
        )
        session.run(v1.global_variables_initializer())
        prefix = tf1.folder / "model.ckpt"
        saver = v1.train.Saver(write_version=v1.train.SaverDef.V1)
        saver.save(session, str(prefix))
        sharded = tf1.folder / "sharded" / "model.ckpt"
        sharded.parent.mkdir()
        v1.train.Saver(write_version=v1.train.SaverDef.V1, sharded=True).save(session, str(sharded))
        truth = session.run(outputs, {"x:0": x})
    np.savez(tf1.folder / "inputs.npz", x=x)
    return prefix, tf1.folder / "inputs.npz", truth


def states(rnnscope, read_trace, tmp_path, path, inputs, *flags):
    trace = tmp_path / "trace.h5"
    done = rnnscope("run", path, inputs, "-o", trace, "--quiet", *flags)
    assert done.code == 0, done.stderr
    return read_trace(trace)


def test_the_model_runs_with_the_options_of_its_graph(model, rnnscope, read_trace, tmp_path):
    prefix, inputs, truth = model
    trace = states(rnnscope, read_trace, tmp_path, prefix, inputs)
    np.testing.assert_allclose(trace["rnn/lstm_cell/outputs"], truth, atol=5e-6)
    checkpoint = read_checkpoint(prefix)
    assert checkpoint.format == "tf1-saver-v1"
    (node,) = checkpoint.network.recurrent
    assert node.recurrent.cell.options.forget_bias.value == 0.6
    assert node.recurrent.cell.options.forget_bias.origin == "graph"


def test_without_a_meta_a_flag_says_what_the_file_does_not(model, rnnscope, read_trace, tmp_path):
    prefix, inputs, truth = model
    alone = tmp_path / "model.ckpt"
    shutil.copy(prefix, alone)
    trace = states(rnnscope, read_trace, tmp_path, alone, inputs, "--forget-bias", "0.6")
    np.testing.assert_allclose(trace["rnn/lstm_cell/outputs"], truth, atol=5e-6)


@pytest.mark.parametrize("named", ["pattern", "prefix", "shard", "folder", "checkpoint", "meta"])
def test_shards_are_found_by_whatever_a_user_names(model, named):
    folder = model[0].parent / "sharded"
    (shard,) = folder.glob("model.ckpt-00000-of-*")
    path = {
        "pattern": folder / "model.ckpt-?????-of-00001",
        "prefix": folder / "model.ckpt",
        "shard": shard,
        "folder": folder,
        "checkpoint": folder / "checkpoint",
        "meta": folder / "model.ckpt.meta",
    }[named]
    assert sniff(path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.path.name == "model.ckpt-?????-of-00001"
    assert [node.name for node in checkpoint.network.recurrent] == ["rnn/lstm_cell"]


def test_a_missing_shard_is_named(tf, tmp_path):
    save(tf, tmp_path / "model.ckpt-00000-of-00002", {"kernel": KERNEL})
    with pytest.raises(CheckpointError, match="2 files"):
        read_checkpoint(tmp_path / "model.ckpt-?????-of-00002")


def test_several_checkpoints_and_no_word_which(plain, tmp_path):
    shutil.copy(plain, tmp_path / "a.ckpt")
    shutil.copy(plain, tmp_path / "b.ckpt")
    assert not sniff(tmp_path)
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("step", range(0, 400, 37))
def test_damage_is_an_error_and_never_other_numbers(tf, tmp_path, step):
    path = tmp_path / "m"
    save(tf, path, {"a": np.arange(20, dtype=np.float32), "b": KERNEL})
    data = bytearray(path.read_bytes())
    data[step % len(data)] ^= 0x41
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        [V1Table.open([path]).read(name) for name in ("a", "b")]


def test_a_truncated_file_is_an_error(plain, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(plain.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        V1Table.open([path])
