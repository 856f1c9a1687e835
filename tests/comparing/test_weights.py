"""Weights of two checkpoints in one gate order, whatever order their files have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.comparing import DiffSettings, Tolerances
from rnnscope.comparing.weights import FOLDED, diff_weights
from rnnscope.errors import CheckpointError, OptionError
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer

RNG = np.random.default_rng(4)
KERNEL, RECURRENT = RNG.normal(size=(3, 8)), RNG.normal(size=(2, 8))
BIAS = RNG.normal(size=8)


def checkpoint(
    name="lstm", *, forget_bias=0.0, clip=None, kernel=KERNEL, bias=BIAS, peephole=None, nodes=None
):
    options = LSTMOptions(
        forget_bias=Option(forget_bias, "graph"),
        activation=Option("tanh", "graph"),
        recurrent_activation=Option("sigmoid", "graph"),
        output_activation=Option("tanh", "graph"),
        cell_clip=Option(clip, "flag"),
        proj_clip=Option(None, "class default"),
    )
    cell = CellSpec(
        "lstm", "LSTM", LSTMWeights(kernel, RECURRENT, bias, peephole), options, (), "i f g o"
    )
    layer = RecurrentLayer(
        cell=cell,
        backward=Option(False, "graph"),
        padding=Option("zeros", "graph"),
        lengths=Option(LENGTHS_UNUSED, "graph"),
        initial_state=Option(ZERO_STATE, "graph"),
        state_format=Option("tuple (c, m)", "guess"),
    )
    made = (Node(name, layer, ("x",)),) if nodes is None else nodes
    return Checkpoint(Path(f"{name}.ckpt"), "tf1-saver", "TensorFlow", (), Network(("x",), made))


def test_the_same_weights():
    result = diff_weights(checkpoint(), checkpoint())
    assert result.verdict == "same"
    assert [array.name for array in result.layers[0].arrays] == [
        "kernel", "recurrent_kernel", FOLDED,
    ]  # fmt: skip


def test_a_forget_bias_at_run_time_equals_one_inside_the_bias():
    inside = BIAS.copy()
    inside[2:4] += 1  # f is the second of i, f, g, o
    result = diff_weights(checkpoint(forget_bias=1.0), checkpoint("other", bias=inside))
    assert result.verdict == "same"
    assert result.layers[0].matched == "by values"


def test_a_changed_weight_is_found_with_its_gate():
    kernel = KERNEL.copy()
    kernel[1, 5] += 0.5
    result = diff_weights(checkpoint(), checkpoint(kernel=kernel))
    first = result.layers[0].arrays[0].first
    assert (first.place, first.gate) == ((1, 5), "gate g")
    assert result.layers[0].arrays[0].axes == ("row", "column")


def test_options_that_differ_are_listed_with_their_origins():
    result = diff_weights(checkpoint(), checkpoint(clip=3.0))
    option = result.layers[0].options[0]
    assert (option.name, option.a, option.b, option.b_origin) == (
        "cell_clip", "none", "3.0", "flag",
    )  # fmt: skip
    assert result.verdict == "differ"


def test_a_layer_that_one_side_lacks():
    one = checkpoint()
    two = checkpoint(nodes=(*one.network.nodes, replace(one.network.nodes[0], name="second")))
    result = diff_weights(one, two)
    assert (result.verdict, result.only_b) == ("differ", ("second",))


def test_other_shapes():
    wide = checkpoint(kernel=RNG.normal(size=(4, 8)))
    array = diff_weights(checkpoint(), wide, DiffSettings(Tolerances())).layers[0].arrays[0]
    assert array.problems == ("the shapes differ",)


def test_a_weight_that_one_side_lacks_is_a_difference():
    (layer,) = diff_weights(checkpoint(), checkpoint(peephole=np.ones(2))).layers
    assert layer.not_compared == ("peephole_i (only in B)",)
    (option,) = layer.options
    assert (option.name, option.a, option.b) == ("peephole_i", "none", "there")
    assert layer.verdict == "differ"


def test_a_tolerance_for_a_weight_that_there_is_not():
    settings = DiffSettings(Tolerances(atol=(("recurent_kernel", 1.0),)))
    with pytest.raises(OptionError) as caught:
        diff_weights(checkpoint(), checkpoint(), settings)
    assert caught.value.hint == "did you mean recurrent_kernel?"
    settings = DiffSettings(Tolerances(atol=(("lstm/kernel", 1.0),)))
    assert diff_weights(checkpoint(), checkpoint(), settings).verdict == "same"


def test_a_file_without_recurrent_layers():
    with pytest.raises(CheckpointError, match="no recurrent layer"):
        diff_weights(checkpoint(), checkpoint(nodes=()))
