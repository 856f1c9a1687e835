"""Graph models as TensorFlow.js' converter writes them, against the states of Keras."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import CheckpointError

DATA = Path(__file__).parents[2] / "data/tfjs_graphs"
LAYERS = {
    "stack": {"layer0": ("lstm", False), "layer1": ("lstm", False)},
    "both_ways": {"layer0": ("lstm", False), "layer0_back": ("lstm", True),
                  "layer1": ("gru", False)},
    "masked": {"layer1": ("lstm", False)},
}  # fmt: skip
LIMITS = {"stack": 2e-6, "masked": 2e-6, "both_ways": 1e-3}
"""The second one's weights were stored in 16 bits: half a step of them, through two layers."""


@pytest.mark.parametrize("name", LAYERS)
def test_states_of_keras(name):
    path = DATA / name / "model.json"
    read = {node.name: node.recurrent for node in read_checkpoint(path).network.recurrent}
    assert all(layer.evidence.kind == "proved" for layer in read.values())
    with np.load(DATA / name / "truth.npz") as truth, rnnscope.run(path, truth["x"]) as trace:
        for wanted, (kind, backward) in LAYERS[name].items():
            m = truth[f"{wanted}_m"]
            (own,) = [
                one for one in read if trace.layers[one].m.shape == m.shape
                and np.abs(trace.layers[one].m[...] - m).max() < LIMITS[name]
            ]  # fmt: skip
            assert (read[own].cell.kind, read[own].backward.value) == (kind, backward)
            if f"{wanted}_c" in truth:
                c = truth[f"{wanted}_c"]
                np.testing.assert_allclose(trace.layers[own].c[...], c, atol=2 * LIMITS[name])


def copied(tmp_path, change):
    shutil.copytree(DATA / "stack", tmp_path / "m")
    path = tmp_path / "m/model.json"
    document = json.loads(path.read_text())
    change(document["modelTopology"])
    path.write_text(json.dumps(document))
    return path


def test_a_fused_op_that_is_not_known_stays(tmp_path):
    """Nothing is taken for a plain product whose further ops are not computed."""

    def change(graph):
        fused = [node for node in graph["node"] if node["op"] == "_FusedMatMul"]
        assert fused
        for node in fused:
            node["attr"]["fused_ops"]["list"]["s"] = ["TGVha3lSZWx1"]  # LeakyRelu

    checkpoint = read_checkpoint(copied(tmp_path, change))
    assert not any(node.recurrent for node in checkpoint.network.recurrent)
    assert any("_FusedMatMul" in note for note in checkpoint.notes)


@pytest.mark.parametrize("value", [3, "x", [3], [{"name": {}}]])
def test_a_graph_that_is_none(tmp_path, value):
    with pytest.raises(CheckpointError):
        read_checkpoint(copied(tmp_path, lambda graph: graph.update(node=value)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TensorFlow.js graph", "TensorFlow.js graph, uint8"])
def test_a_large_table_stays_in_its_shards(tmp_path, monkeypatch, kind):
    """One that lies in several, behind other constants; eight bits as TensorFlow.js widens them."""
    pytest.importorskip("tensorflow")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from model_files import writers

    path = writers()[kind](tmp_path / "m", 1, 40_000).path
    (group,) = json.loads(path.read_text())["weightsManifest"]
    data = b"".join((path.parent / name).read_bytes() for name in group["paths"])
    start = 0
    for entry in group["weights"]:
        eight = "quantization" in entry
        count = int(np.prod(entry["shape"]))
        if entry["name"] == "table":
            break
        start += count * (1 if entry["dtype"] == "bool" else 4)
    stored = np.frombuffer(data, np.uint8 if eight else "<f4", count, start)
    true = stored * 0.1 - 2.5 if eight else stored
    checkpoint = read_checkpoint(path)
    made = checkpoint.read_variable("table")
    assert made.shape == tuple(entry["shape"])
    np.testing.assert_array_equal(made.ravel(), true.astype(np.float32))
    shard = path.parent / group["paths"][1]
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="shorter than it was"):
        checkpoint.read_variable("table")
