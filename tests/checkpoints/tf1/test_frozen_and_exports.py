"""Frozen graphs, SavedModels of TensorFlow 1 and SessionBundles give TensorFlow's own states."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.tf1 import frozen_graph, session_bundle
from rnnscope.checkpoints.tf2 import saved_model
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.proto_schema import message_class

X = np.random.default_rng(5).normal(size=(3, 6, 3)).astype(np.float32)
LENGTHS = np.array([6, 4, 2], np.int32)


@pytest.fixture(scope="module")
def exported(tf1_at, tmp_path_factory):
    """One model in every form: ``folder``, ``inputs``, ``outputs``."""
    tf1 = tf1_at(tmp_path_factory.mktemp("exported"))
    v1, tf, folder = tf1.v1, tf1.tf, tf1.folder
    with tf.Graph().as_default() as graph, v1.Session() as session:
        cell = tf1.cell(4, forget_bias=0.4, peepholes=True, proj=2, cell_clip=0.5)
        outputs, _ = v1.nn.dynamic_rnn(cell, tf1.placeholder(), tf1.lengths(), dtype="float32")
        outputs = tf.identity(outputs, "outputs")
        session.run(v1.global_variables_initializer())
        truth = session.run(outputs, {"x:0": X, "lengths:0": LENGTHS})
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["outputs"]
        )
        (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
        (folder / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
        v1.saved_model.simple_save(
            session, str(folder / "saved"), {"x": graph.get_tensor_by_name("x:0")},
            {"outputs": outputs},
        )  # fmt: skip
        bundle = folder / "bundle" / "00000002"
        bundle.mkdir(parents=True)
        v1.train.Saver(sharded=True, write_version=v1.train.SaverDef.V1).save(
            session, str(bundle / "export"), write_state=False
        )
    np.savez(folder / "inputs.npz", x=X, lengths=LENGTHS)
    return folder, folder / "inputs.npz", truth


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("frozen.pb", "tf1-frozen"),
        ("saved", "saved-model"),
        ("saved/saved_model.pb", "saved-model"),
        ("bundle", "session-bundle"),
        ("bundle/00000002", "session-bundle"),
    ],
)
def test_every_form_gives_the_same_states(exported, rnnscope, read_trace, tmp_path, name, format_):
    folder, inputs, truth = exported
    trace = tmp_path / "trace.h5"
    done = rnnscope("run", folder / name, inputs, "-o", trace, "--quiet")
    assert done.code == 0, done.stderr
    found = read_trace(trace)["rnn/lstm_cell/outputs"]
    np.testing.assert_allclose(found, truth, atol=5e-6)
    checkpoint = read_checkpoint(folder / name)
    assert checkpoint.format == format_
    cell = checkpoint.network.recurrent[0].recurrent.cell
    assert cell.options.forget_bias.value == 0.4
    assert cell.options.cell_clip.value == 0.5
    assert {option.origin for _, option in cell.options.items()} == {"graph"}


def test_a_graph_that_is_not_frozen_says_so(exported):
    with pytest.raises(CheckpointError, match="not frozen"):
        read_checkpoint(exported[0] / "graph.pb")


def test_readers_take_their_own_files_alone(exported, small, tmp_path):
    folder = exported[0]
    text = tmp_path / "text.pb"
    text.write_text('node { name: "x" op: "Placeholder" }')
    sniffs = {
        frozen_graph.sniff: {folder / "frozen.pb", folder / "graph.pb"},
        saved_model.sniff: {folder / "saved", folder / "saved" / "saved_model.pb"},
        session_bundle.sniff: {folder / "bundle", folder / "bundle" / "00000002"},
    }
    paths = set().union(*sniffs.values()) | {
        text, small.prefix, small.inputs, folder, tmp_path, tmp_path / "none",
        small.prefix.with_name("model.ckpt.index"), small.prefix.with_name("model.ckpt.meta"),
    }  # fmt: skip
    for sniff, own in sniffs.items():
        assert {path for path in paths if sniff(path)} == own


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_truncated_file_is_an_error_not_a_smaller_model(exported, tmp_path, cut):
    data = (exported[0] / "frozen.pb").read_bytes()
    path = tmp_path / "cut.pb"
    path.write_bytes(data[: -cut * len(data) // 4])
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


def test_a_saved_model_without_its_variables_names_them(exported, tmp_path):
    shutil.copytree(exported[0] / "saved", tmp_path / "saved")
    shutil.rmtree(tmp_path / "saved" / "variables")
    with pytest.raises(CheckpointError, match=r"variables\.index"):
        read_checkpoint(tmp_path / "saved")


def test_of_several_graphs_the_one_for_serving_is_read_and_named(exported, tmp_path):
    shutil.copytree(exported[0] / "saved", tmp_path / "saved")
    path = tmp_path / "saved" / "saved_model.pb"
    saved = message_class("SavedModel").FromString(path.read_bytes())
    (served,) = saved.meta_graphs
    other = type(served)()
    other.meta_info_def.tags.append("train")
    whole = type(saved)(saved_model_schema_version=1)
    whole.meta_graphs.extend([other, served])
    path.write_bytes(whole.SerializeToString())
    checkpoint = read_checkpoint(tmp_path / "saved")
    assert "The graph tagged 'serve' was read of 2 (train; serve)." in checkpoint.notes
    assert checkpoint.network.recurrent


def test_a_bundle_without_a_shard_is_an_error(exported, tmp_path):
    shutil.copytree(exported[0] / "bundle", tmp_path / "bundle")
    for shard in tmp_path.glob("bundle/*/export-*"):
        shard.unlink()
    with pytest.raises(CheckpointError, match="variables of an export"):
        read_checkpoint(tmp_path / "bundle")
