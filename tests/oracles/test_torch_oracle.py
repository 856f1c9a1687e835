"""Layers as PyTorch's own modules compute them, and the comparison itself with a stand-in."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from cell_cases import cell_of, layer_with, states_for

from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import EngineError
from rnnscope.model.cell import Option
from rnnscope.model.network import Node
from rnnscope.oracles.torch_layers import beyond_torch
from rnnscope.oracles.torch_verifier import TorchVerifier

from . import fake_torch

FEATURES, UNITS = 3, 5
EXPRESSIBLE = {
    "lstm": ["m", "c", "final m", "final c"],
    "lstm, forget bias": ["m", "c", "final m", "final c"],
    "lstm, projection": ["m", "c", "final m", "final c"],
    "gru, reset after": ["m", "final m"],
    "gru, reset after, two biases": ["m", "final m"],
    "rnn": ["m", "final m"],
    "rnn, relu": ["m", "final m"],
}


@pytest.fixture(params=["a stand-in", "torch"])
def torch(request, monkeypatch):
    """PyTorch itself where it is installed, and always what stands in for it."""
    if request.param == "torch":
        return pytest.importorskip("torch", reason="torch is not installed: extra torch")
    monkeypatch.setitem(sys.modules, "torch", fake_torch)
    return fake_torch


def verified(layer, rng, spoil=None, **how):
    """What the verifier says of a run with a mask that has holes and an empty sequence."""
    x = rng.normal(size=(4, 7, FEATURES)).astype(layer.cell.dtype)
    mask = rng.uniform(size=(4, 7)) < 0.6
    mask[3] = False
    initial = states_for(rng, layer.cell, 4)
    states = run_layer(layer, x, mask, initial)
    verifier = TorchVerifier()
    node = Node("lstm", layer if spoil is None else spoil(layer), ())
    verifier.compare(node, x, mask, initial, states)
    return verifier.rows()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("backward", "reversal"), [(False, "whole"), (True, "whole"), (True, "within length")]
)
@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_every_state_is_torchs_own(torch, name, backward, reversal, dtype):
    rng = np.random.default_rng(3)
    cell = cell_of(rng, name, FEATURES, UNITS, dtype)
    rows = verified(layer_with(cell, backward=backward, reversal=reversal), rng)
    assert sorted(row.state for row in rows) == sorted(EXPRESSIBLE[name])
    assert all(row.ok for row in rows), rows
    assert rows[0].kernel.startswith("torch.nn.")


@pytest.mark.parametrize("padding", ["zeros", "hold", "none"])
def test_every_padding_rule(torch, padding):
    rng = np.random.default_rng(4)
    layer = layer_with(cell_of(rng, "lstm", FEATURES, UNITS), padding=padding)
    assert all(row.ok for row in verified(layer, rng))


def test_swapped_gates_and_a_lost_bias_are_seen(torch):
    """So that agreement means something."""

    def swap(layer):
        weights = layer.cell.weights
        i, f, g, o = np.split(weights.kernel, 4, axis=1)
        weights = replace(weights, kernel=np.concatenate([i, g, f, o], axis=1))
        return replace(layer, cell=replace(layer.cell, weights=weights))

    def forget(layer):
        weights = replace(layer.cell.weights, bias=layer.cell.weights.bias / 2)
        return replace(layer, cell=replace(layer.cell, weights=weights))

    for spoil in (swap, forget):
        rng = np.random.default_rng(5)
        layer = layer_with(cell_of(rng, "lstm", FEATURES, UNITS))
        assert not any(row.ok for row in verified(layer, rng, spoil))


def test_c_of_a_single_step_in_the_middle_is_seen(torch):
    """Of every step c is compared, not only of the last."""
    rng = np.random.default_rng(6)
    layer = layer_with(cell_of(rng, "lstm", FEATURES, UNITS))
    x = rng.normal(size=(2, 6, FEATURES)).astype(np.float32)
    states = run_layer(layer, x)
    states.states["c"][1, 3, 2] += 0.01
    verifier = TorchVerifier()
    verifier.compare(Node("lstm", layer, ()), x, None, {}, states)
    assert {row.state: row.ok for row in verifier.rows()} == {
        "m": True, "c": False, "final m": True, "final c": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("lstm, peepholes", "peepholes"),
        ("lstm, wide projection", "projection as wide as its units"),
        ("lstm, coupled", "peepholes"),
        ("lstm, clipped gates", "clip of what enters activations"),
        ("lstm, hard sigmoid", "recurrent_activation hard_sigmoid"),
        ("lstm, relu", "activation relu"),
        ("gru, reset before", "reset gate before the product"),
        ("gru, clipped", "clip of what enters activations"),
        ("rnn, clipped", "clip of what enters activations"),
        ("layer norm", "cell layer_norm_lstm"),
    ],
)
def test_what_torch_lacks_is_refused_by_name(monkeypatch, name, lacks):
    monkeypatch.setitem(sys.modules, "torch", fake_torch)
    layer = layer_with(cell_of(np.random.default_rng(7), name, FEATURES, UNITS))
    assert beyond_torch(layer.cell) == lacks
    with pytest.raises(EngineError) as error:
        TorchVerifier().compare(Node("enc/x", layer, ()), np.zeros((1, 1, 1)), None, {}, None)
    assert error.value.where == "layer 'enc/x'"
    assert lacks in error.value.found


def test_each_clip_and_a_coupled_gate_are_refused_by_themselves():
    cell = cell_of(np.random.default_rng(8), "lstm", FEATURES, UNITS)
    assert beyond_torch(cell) == ""
    for option, value in {"cell_clip": 1.0, "proj_clip": 1.0, "coupled": True}.items():
        options = replace(cell.options, **{option: Option(value, "graph")})
        assert beyond_torch(replace(cell, options=options)) != ""


def test_a_device_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch)
    with pytest.raises(EngineError, match="no device cuda here") as error:
        TorchVerifier("cuda")
    assert error.value.found == "cpu"


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineError) as error:
        TorchVerifier()
    assert "pip install torch" in error.value.hint


def test_a_sequence_without_steps_alone_is_nothing_to_compare(torch):
    rng = np.random.default_rng(9)
    layer = layer_with(cell_of(rng, "gru, reset after", FEATURES, UNITS))
    x, mask = np.zeros((1, 3, FEATURES), np.float32), np.zeros((1, 3), bool)
    verifier = TorchVerifier()
    verifier.compare(Node("gru", layer, ()), x, mask, {}, run_layer(layer, x, mask))
    assert verifier.rows() == ()
