"""Layers as ONNX Runtime's own operator computes them: every direction, mask and activation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cell_cases import cell_of, layer_with

from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.oracles.onnxruntime_verifier import OnnxRuntimeVerifier, expressible

UNITS, FEATURES = 5, 3


def option(value):
    return Option(value, "config")


def make_layer(
    rng,
    *,
    peepholes=False,
    backward=False,
    reversal="whole",
    padding="zeros",
    activations=("sigmoid", "tanh"),
    **more,
):
    shapes = (FEATURES, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)
    arrays = [(0.5 * rng.normal(size=shape)).astype(np.float32) for shape in shapes]
    if peepholes:
        arrays += [rng.normal(size=UNITS).astype(np.float32) for _ in "ifo"]
    gate, act = activations
    options = LSTMOptions(
        option(0.7), option(act), option(gate), option(act), option(None), option(None), **more
    )
    cell = CellSpec("lstm", "LSTM", LSTMWeights(*arrays), options, (), "i f g o")
    words = option("")
    return RecurrentLayer(
        cell, option(backward), option(padding), words, words, words, reversal=reversal
    )


def verified(layer, rng, spoil=None):
    """What the verifier says of a run with a mask that has holes and an empty sequence."""
    x = rng.normal(size=(4, 7, FEATURES)).astype(np.float32)
    mask = rng.uniform(size=(4, 7)) < 0.6
    mask[3] = False
    initial = {name: rng.uniform(-1, 1, (4, UNITS)).astype(np.float32) for name in "cm"}
    states = run_layer(layer, x, mask, initial)
    if spoil is not None:
        layer = spoil(layer)
    verifier = OnnxRuntimeVerifier()
    verifier.compare(Node("lstm", layer, ()), x, mask, initial, states)
    return verifier.rows()


@pytest.fixture
def rng():
    pytest.importorskip("onnxruntime")
    return np.random.default_rng(5)


@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "hold", "none"])
@pytest.mark.parametrize(
    ("backward", "reversal"), [(False, "whole"), (True, "whole"), (True, "within length")]
)
@pytest.mark.parametrize(
    "activations",
    [("sigmoid", "tanh"), ("hard_sigmoid", "relu"), ("hard_sigmoid_keras3", "softsign")],
)
def test_the_operator_agrees(rng, peepholes, padding, backward, reversal, activations):
    layer = make_layer(
        rng, peepholes=peepholes, padding=padding, backward=backward, reversal=reversal,
        activations=activations,
    )  # fmt: skip
    rows = verified(layer, rng)
    assert [row.state for row in rows] == ["m", "final m", "final c"]
    assert all(row.ok for row in rows), rows


def test_the_operator_clips_what_enters_the_gates(rng):
    assert all(row.ok for row in verified(make_layer(rng, gate_clip=option(0.3)), rng))


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    "name",
    ["gru, reset before", "gru, reset after", "gru, reset before, two biases",
     "gru, reset after, two biases", "gru, clipped", "rnn", "rnn, relu", "rnn, clipped"],
)  # fmt: skip
def test_the_operators_gru_and_rnn_agree(rng, name, backward):
    layer = layer_with(cell_of(rng, name, FEATURES, UNITS), backward=backward)
    rows = verified(layer, rng)
    assert [row.state for row in rows] == ["m", "final m"]
    assert all(row.ok for row in rows), rows


def test_swapped_gates_are_seen(rng):
    """So that agreement means something."""

    def swap(layer):
        i, f, g, o = np.split(layer.cell.weights.kernel, 4, axis=1)
        weights = replace(layer.cell.weights, kernel=np.concatenate([i, g, f, o], axis=1))
        return replace(layer, cell=replace(layer.cell, weights=weights))

    assert not any(row.ok for row in verified(make_layer(rng), rng, swap))


@pytest.mark.parametrize(
    "changes",
    [{"cell_clip": option(1.0)}, {"coupled": option(True)}, {"activation": option("gelu")}],
)
def test_what_the_operator_cannot_say_is_left_out(changes):
    layer = make_layer(np.random.default_rng(5))
    options = replace(layer.cell.options, **changes)
    assert expressible(layer)
    assert not expressible(replace(layer, cell=replace(layer.cell, options=options)))
