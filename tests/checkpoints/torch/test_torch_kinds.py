"""What people save of PyTorch modules that are not quite stock: right, or refused by name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from checkpoint_truth import DATA, run_network

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.torch.computed_weights import resolve_weights
from rnnscope.errors import RnnscopeError, UnsupportedCellError
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.model.initial_state import StoredState
from rnnscope.model.layers import Unsupported

KINDS = DATA / "torch_kinds"


def cases():
    for prefix in ("", "old_"):
        known = json.loads((KINDS / f"{prefix}cases.json").read_text())
        for name, case in known.items():
            yield pytest.param(prefix, name, case, id=name)


def runnable(network):
    """The nodes that can be computed, without what stands for others."""
    known, nodes = {*network.inputs}, []
    for node in network.nodes:
        if not isinstance(node.layer, Unsupported) and node.reads and known.issuperset(node.reads):
            known.add(node.name)
            nodes.append(node)
    return replace(network, nodes=tuple(nodes))


def blocked(network):
    return [node.name for node in network.recurrent if network.uncomputed_start(node)]


@pytest.mark.parametrize(("prefix", "name", "case"), [*cases()])
def test_kinds(prefix, name, case):
    with np.load(KINDS / f"{prefix}truth.npz") as truth:
        if not case["right"]:
            try:
                checkpoint = read_checkpoint(KINDS / case["file"])
            except RnnscopeError as error:
                assert case["refused"] in str(error)
            else:
                network = checkpoint.network
                assert set(blocked(network)) == {node.name for node in network.recurrent}
                assert case["refused"] in " ".join(checkpoint.notes)
            return
        checkpoint = read_checkpoint(KINDS / case["file"])
        made = run_network(runnable(checkpoint.network), truth["x"])
        assert not blocked(checkpoint.network)
        for node in case["right"]:
            np.testing.assert_allclose(made[node], truth[f"{name}:{node}"], atol=2e-6)
        if case["refused"]:
            assert case["refused"] in " ".join(checkpoint.notes)


def test_a_module_that_is_not_computed_keeps_its_place():
    network = read_checkpoint(KINDS / "five_gates_between.pt").network
    middle, top = network.node("middle"), network.node("top/l0")
    assert isinstance(middle.layer, Unsupported)
    assert "5 gates" in middle.layer.reason
    assert middle.reads == ("encoder/l0",)
    # Its own input and that of 'middle' look the same: neither is taken for the other.
    assert top.reads == ()


def test_a_dropped_copy_does_not_count():
    checkpoint = read_checkpoint(KINDS / "weight_dropout.pt")
    (node,) = checkpoint.network.recurrent
    assert "rnn.weight_hh_l0_raw" in node.recurrent.cell.variables
    assert "rnn.module.weight_hh_l0" not in node.recurrent.cell.variables
    assert not checkpoint.left_out
    assert any("the weight before dropout" in note for note in checkpoint.notes)


def test_a_stored_weight_has_to_be_what_its_parts_make(tmp_path):
    rng = np.random.default_rng(0)
    v, g = rng.normal(size=(8, 2)), np.full((8, 1), 2.0)
    weight = v * g / np.linalg.norm(v, axis=1, keepdims=True)

    def resolve(copy):
        arrays = {"weight_hh_l0_v": v, "weight_hh_l0_g": g, "weight_hh_l0": copy}
        return resolve_weights(
            [
                LoadableArray(name, array.shape, lambda array=array: array)
                for name, array in arrays.items()
            ]
        )

    good = resolve(weight)
    assert [array.name for array in good.arrays] == ["weight_hh_l0"]
    np.testing.assert_allclose(good.arrays[0].load(), weight)
    assert "another weight" in resolve(weight + 1).troubles["weight_hh_l0"]


@pytest.mark.parametrize(
    ("name", "tensors"),
    [("start_h0.pt", {"m": "h0", "c": "c0"}), ("start_gru.pt", {"m": "initial_state"})],
)
def test_learned_states_are_guesses_and_say_so(name, tensors):
    checkpoint = read_checkpoint(KINDS / name)
    (node,) = checkpoint.network.recurrent
    start = node.recurrent.initial_state
    assert start.origin == "guess"
    assert {state: part.name for state, part in start.value.parts.items()} == {
        state: f"tensor '{tensor}'" for state, tensor in tensors.items()
    }
    assert all(isinstance(part, StoredState) for part in start.value.parts.values())
    assert any("a guess from name and shape" in note for note in checkpoint.notes)


def test_directions_are_guesses_where_no_name_tells_them():
    one = read_checkpoint(KINDS / "start_h0.pt").network.recurrent[0].recurrent
    two = read_checkpoint(KINDS / "whole_both.pt").network.recurrent[1].recurrent
    assert (one.backward.value, one.backward.origin) == (False, "guess")
    assert (two.backward.value, two.backward.origin) == (True, "config")


def test_a_whole_module_tells_its_nonlinearity():
    layer = read_checkpoint(KINDS / "whole_relu.pt").network.recurrent[0].recurrent
    assert layer.cell.options.activation.value == "relu"
    assert layer.cell.options.activation.origin == "config"


def test_what_lies_beside_the_weights_is_listed():
    left = {entry.name for entry in read_checkpoint(KINDS / "training_2.pt").left_out}
    assert {"array", "meter/values", "fc.weight"} <= left


@pytest.mark.parametrize("named", ["", "lstm/l0/"])
def test_a_state_that_is_not_known_can_be_given(tmp_path, named):
    with np.load(KINDS / "truth.npz") as truth:
        x = truth["x"]
    given = {f"{named}initial_{state}": np.ones((2, 3), "f4") for state in "cm"}
    np.savez(tmp_path / "given.npz", x=x, **given)
    trace = rnnscope.run(KINDS / "start_only_h.pt", tmp_path / "given.npz")
    assert trace.layers["lstm/l0"].initial["c"].shape == (2, 3)
    np.savez(tmp_path / "half.npz", x=x, **{f"{named}initial_m": np.ones((2, 3), "f4")})
    with pytest.raises(UnsupportedCellError, match="nothing is there for c"):
        rnnscope.run(KINDS / "start_only_h.pt", tmp_path / "half.npz")
