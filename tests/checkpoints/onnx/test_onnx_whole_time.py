"""Lengths that are the number of timesteps whatever is given are none; all others stay lengths."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_files import graph, node, save, value, weights

import rnnscope
from rnnscope.checkpoints import read_checkpoint

LSTM = node("LSTM", ["X", "W", "R", "B", "n"], ["Y", "Y_h"], "lstm", hidden_size=4)
SIZES = [
    node("Shape", ["X"], ["shape"]),
    node("Gather", ["shape", "zero"], ["steps"]),
    node("Gather", ["shape", "one"], ["sequences"]),
]
NUMBERS = {"zero": np.array([0]), "one": np.array([1])}


def layer_of(tmp_path, nodes, arrays=None, shape=(None, None, 3)):
    made = graph(
        [*nodes, LSTM],
        [value("X", shape)],
        [value("Y"), value("Y_h")],
        {**weights(), **NUMBERS, **(arrays or {})},
    )
    path = save(tmp_path / "m.onnx", made)
    (node_of,) = read_checkpoint(path).network.recurrent
    return path, node_of.recurrent


def test_the_size_of_an_axis_for_every_sequence(tmp_path):
    """Any number of sequences and steps runs, without lengths and with the same states."""
    nodes = [*SIZES, node("Expand", ["steps", "sequences"], ["wide"]),
             node("Cast", ["wide"], ["n"], to=6)]  # fmt: skip
    path, layer = layer_of(tmp_path, nodes)
    assert (layer.lengths.value.kind, layer.padding.value) == ("unused", "none")
    assert layer.lengths.detail == "as many as there are timesteps"
    assert layer.evidence.kind == "proved"
    runtime = pytest.importorskip("onnxruntime")
    x = np.random.default_rng(0).normal(size=(3, 7, 3)).astype("f4")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    y, _ = session.run(None, {"X": x.swapaxes(0, 1)})
    with rnnscope.run(path, x) as trace:
        np.testing.assert_allclose(trace.layers["lstm"].m, y[:, 0].swapaxes(0, 1), atol=2e-6)


@pytest.mark.parametrize(
    ("nodes", "arrays", "shape", "kind"),
    [
        ([], {"n": np.array([5, 5], np.int32)}, (5, 2, 3), "unused"),
        ([], {"n": np.array([5, 4], np.int32)}, (5, 2, 3), "stored"),
        # As many as the first trial has steps, where the file leaves their number open.
        ([], {"n": np.array([3, 3], np.int32)}, (None, 2, 3), "stored"),
        (
            [*SIZES, node("Sub", ["steps", "one"], ["less"]),
             node("Expand", ["less", "sequences"], ["wide"]), node("Cast", ["wide"], ["n"], to=6)],
            {}, (None, None, 3), "mask",
        ),
        (
            [node("ReduceMax", ["X"], ["most"], axes=[0, 2], keepdims=0),
             node("Sub", ["most", "most"], ["none"]), node("Cast", ["none"], ["whole"], to=7),
             *SIZES, node("Add", ["whole", "steps"], ["sum"]), node("Cast", ["sum"], ["n"], to=6)],
            {}, (None, None, 3), "mask",
        ),
    ],
    ids=["all of them", "fewer", "by chance", "one less", "made of values"],
)  # fmt: skip
def test_what_else_lengths_may_be(tmp_path, nodes, arrays, shape, kind):
    _, layer = layer_of(tmp_path, nodes, arrays, shape)
    assert layer.lengths.value.kind == kind
    assert layer.padding.value == ("none" if kind == "unused" else "zeros")
