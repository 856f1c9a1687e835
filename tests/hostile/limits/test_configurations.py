"""Keras configurations of a few kilobytes that ask for much."""

from __future__ import annotations

import io
import json
import time
import zipfile
from itertools import pairwise

import h5py
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.keras import graph
from rnnscope.checkpoints.keras.masks import only_for_masks
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import limited
from rnnscope.files.messages.json_config import MAX_VALUES, parse_config


def tensor(name, call=0):
    config = {"shape": [None, 4, 3], "dtype": "float32", "keras_history": [name, call, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def layer(kind, name, *calls, module="keras.layers", **config):
    """An entry of a Functional model of Keras 3; each call is (args, kwargs)."""
    nodes = [{"args": list(args), "kwargs": kwargs} for args, kwargs in calls]
    if module == "keras.layers":
        config |= {"trainable": True, "dtype": "float32"}
    return {
        "module": module, "class_name": kind, "config": {"name": name, **config},
        "registered_name": None, "name": name, "inbound_nodes": nodes,
    }  # fmt: skip


def read(tmp_path, layers, last, call=0):
    """The network of a model of these layers after an input ``x``."""
    first = layer("InputLayer", "x", batch_shape=[None, 4, 3])
    config = {
        "name": "model", "trainable": True, "layers": [first, *layers],
        "input_layers": [["x", 0, 0]], "output_layers": [[last, call, 0]],
    }  # fmt: skip
    model = {"class_name": "Functional", "config": config, "registered_name": "Functional"}
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("layers")
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.4.0"}))
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", weights.getvalue())
    return read_checkpoint(tmp_path / "m.keras").network


def dropouts(count, first="x"):
    """A chain of layers, each reading the one before."""
    names = [first, *(f"d{number}" for number in range(count))]
    return [
        layer("Dropout", name, ([tensor(before)], {}), rate=0.1) for before, name in pairwise(names)
    ]


def doubled(kind, count, first, **more):
    names = [first, *(f"{kind}{number}" for number in range(count))]
    return [
        layer(kind, name, ([tensor(before), tensor(before)], {}), **more)
        for before, name in pairwise(names)
    ]


def test_layers_that_read_one_another_twice(tmp_path):
    """Of sixty there are 2 to the 60th ways from the last to the first."""
    masking = layer("Masking", "k", ([tensor("x")], {}), mask_value=0.0)
    adds = [
        layer("Add", f"a{n}", ([[tensor(f"a{n - 1}" if n else "k")] * 2], {})) for n in range(60)
    ]
    found = read(tmp_path, [masking, *adds], "a59")
    assert len(found.nodes) == 61


def test_masks_whose_operations_read_one_another_twice(tmp_path):
    """The way back to what a spelt mask compares is walked once, not 2 to the 60th times."""
    ops = {"module": "keras.src.ops.numpy"}
    compared = layer("NotEqual", "n", ([tensor("x"), 0.0], {}), **ops)
    either = doubled("LogicalOr", 60, "n", **ops)
    masked = layer(
        "Softmax", "s", ([tensor("x")], {"mask": tensor("LogicalOr59")}), axis=-1
    )  # fmt: skip
    started = time.process_time()
    read(tmp_path, [compared, *either, masked], "s")
    assert time.process_time() - started < 20


def test_masks_are_told_from_what_else_is_computed():
    """A chain of operations that one reader at its end needs, and one that only masks need."""
    readers = {"a": ["b"], "b": ["c"], "c": ["layer"], "m": ["n"], "n": []}
    assert only_for_masks(readers, lambda name: readers[name]) == {"m", "n"}
    many = {f"{n}": [f"{n + 1}"] for n in range(50_000)}
    assert only_for_masks(many, lambda name: many[name]) == frozenset()


def test_layers_in_the_wrong_order_take_no_longer_than_they_may(tmp_path):
    with (
        limited(max_seconds=0.3),
        pytest.raises(CheckpointError, match=r"Reading the file takes too long\."),
    ):
        read(tmp_path, dropouts(3000)[::-1], "d2999")


def test_more_layers_than_any_model_has(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "MAX_NODES", 50)
    assert len(read(tmp_path, dropouts(50), "d49").nodes) == 50
    with pytest.raises(CheckpointError, match="more layers than any model has"):
        read(tmp_path, dropouts(51), "d50")


def test_calls_of_one_layer_count_as_layers(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "MAX_NODES", 50)
    calls = [([tensor("d", number - 1) if number else tensor("x")], {}) for number in range(51)]
    with pytest.raises(CheckpointError, match="more layers than any model has"):
        read(tmp_path, [layer("Dropout", "d", *calls, rate=0.1)], "d", 50)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_more_values_than_any_model_has(as_bytes):
    """Refused before it is parsed: three megabytes would become some two hundred."""
    text = '{"a": [' + "[]," * (MAX_VALUES // 2) + "[]]}"
    with pytest.raises(CheckpointError, match="more values than any model needs"):
        parse_config(text.encode() if as_bytes else text, "m.h5")
    small = '{"a": [' + "[]," * 1000 + "[]]}"
    assert len(parse_config(small.encode() if as_bytes else small, "m.h5").raw("a")) == 1001


def test_deep_configurations():
    with pytest.raises(CheckpointError, match="nested too deep"):
        parse_config('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "m.h5")
