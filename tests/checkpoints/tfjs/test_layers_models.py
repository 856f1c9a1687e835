"""TensorFlow.js layers models against what TensorFlow.js itself computes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import CheckpointError

DATA = Path(__file__).parents[2] / "data/tfjs"
CASES = ("masked", "both_ways", "stack_of_cells")


@pytest.mark.parametrize("case", CASES)
def test_outputs_of_every_layer(case):
    """Masks with holes, directions, stacks of cells: what the layers return, step by step."""
    truth = json.loads((DATA / case / "truth.json").read_text())
    trace = rnnscope.run(DATA / case / "model.json", np.asarray(truth["x"], np.float32))
    compared = 0
    for name, outputs in truth["layers"].items():
        if name in trace.layers:
            np.testing.assert_allclose(trace.layers[name].outputs[...], outputs, atol=1e-6)
            compared += 1
    trace.close()
    assert compared == {"masked": 3, "both_ways": 2, "stack_of_cells": 2}[case]


def test_the_folder_is_the_model():
    assert read_checkpoint(DATA / "masked").network.recurrent
    checkpoint = read_checkpoint(DATA / "masked/model.json")
    assert [path.name for path in checkpoint.files] == [
        "model.json", "group1-shard1of2.bin", "group1-shard2of2.bin",
    ]  # fmt: skip
    assert checkpoint.hard_sigmoid == "hard_sigmoid"


def copied(tmp_path, change):
    """A copy whose JSON is changed."""
    shutil.copytree(DATA / "masked", tmp_path / "m")
    path = tmp_path / "m/model.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def weights_of(path):
    layer = read_checkpoint(path).network.recurrent[0].recurrent
    return layer.cell.weights.kernel


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_quantised_weights(tmp_path, dtype):
    """The tool stores ``(value - min) / scale``, rounded, or the nearest 16-bit float."""
    true = weights_of(DATA / "masked/model.json")

    def change(document):
        (group,) = document["weightsManifest"]
        folder = tmp_path / "m"
        data = b"".join((folder / name).read_bytes() for name in group["paths"])
        parts, start = [], 0
        for entry in group["weights"]:
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, "<f4", count, start)
            start += 4 * count
            if dtype == "float16":
                parts.append(values.astype("<f2").tobytes())
                entry["quantization"] = {"dtype": dtype, "original_dtype": "float32"}
                continue
            least, levels = float(values.min()), np.iinfo(dtype).max
            scale = (float(values.max()) - least) / levels
            parts.append(np.rint((values - least) / scale).astype(dtype).tobytes())
            entry["quantization"] = {
                "dtype": dtype, "scale": scale, "min": least, "original_dtype": "float32",
            }  # fmt: skip
        (folder / "group1-shard1of2.bin").write_bytes(b"")
        (folder / "group1-shard2of2.bin").write_bytes(b"".join(parts))

    made = weights_of(copied(tmp_path, change))
    apart = np.abs(made - true).max()
    step = {"uint8": 1.6 / 255, "uint16": 1.6 / 65535, "float16": 2**-10}[dtype]
    assert 0 < apart <= 0.51 * step
    assert made.dtype == np.float32


def test_shards_lie_in_the_folder(tmp_path):
    (tmp_path / "outside.bin").write_bytes(b"\0" * 4096)

    def change(document):
        document["weightsManifest"][0]["paths"] = ["../outside.bin"]

    with pytest.raises(CheckpointError, match="lies outside the model's folder"):
        read_checkpoint(copied(tmp_path, change))


def test_a_shard_that_is_cut_off(tmp_path):
    path = copied(tmp_path, lambda document: None)
    shard = path.parent / "group1-shard2of2.bin"
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="shorter than the manifest says"):
        read_checkpoint(path)


@pytest.mark.parametrize("shape", [[5, -24], [True, 24], [5.0, 24]])
def test_a_shape_that_is_none(tmp_path, shape):
    def change(document):
        document["weightsManifest"][0]["weights"][0]["shape"] = shape

    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(copied(tmp_path, change))


def test_the_keras_of_a_converted_model_decides(tmp_path):
    """A Keras 3 model's hard_sigmoid is another function; a note says what TensorFlow.js does."""

    def change(document):
        topology = document["modelTopology"]
        topology["model_config"] = {
            "class_name": topology.pop("class_name"), "config": topology.pop("config"),
        }  # fmt: skip
        topology["keras_version"] = "3.4.1"

    checkpoint = read_checkpoint(copied(tmp_path, change))
    assert checkpoint.hard_sigmoid == "hard_sigmoid_keras3"
    assert any(re.search(r"TensorFlow\.js computes", note) for note in checkpoint.notes)
