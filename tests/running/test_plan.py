"""Which layers run, and where the input goes in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rnnscope.checkpoints.interface import Checkpoint, LeftOut
from rnnscope.errors import InputError, OptionError, UnsupportedCellError
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.initial_state import ZERO_STATE, InitialState, OutsideState, UncomputedState
from rnnscope.model.layers import (
    BidirectionalMerge,
    Dense,
    Embedding,
    Masking,
    PassThrough,
    Unsupported,
)
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running import plan_run

FROM_ENCODER = InitialState.handed_over("cm", ["encoder"])


def lstm(inputs, units, **changes):
    cell = CellSpec(
        kind="lstm",
        source_class="LSTMCell",
        weights=LSTMWeights(
            np.zeros((inputs, 4 * units)), np.zeros((units, 4 * units)), np.zeros(4 * units)
        ),
        options=LSTMOptions(
            forget_bias=Option(1.0, "graph"),
            activation=Option("tanh", "graph"),
            recurrent_activation=Option("sigmoid", "graph"),
            output_activation=Option("tanh", "graph"),
            cell_clip=Option(None, "graph"),
            proj_clip=Option(None, "graph"),
        ),
        variables=(),
        stored_gate_order="i g f o",
    )
    return replace(
        RecurrentLayer(
            cell=cell,
            backward=Option(False, "graph"),
            padding=Option("zeros", "graph"),
            lengths=Option(LENGTHS_UNUSED, "graph"),
            initial_state=Option(ZERO_STATE, "graph"),
            state_format=Option("", "graph"),
        ),
        **changes,
    )


def checkpoint(*nodes, inputs=("x",), left_out=()):
    return Checkpoint(Path("m"), "tf1-saver", "TensorFlow", (), Network(inputs, nodes), left_out)


def source(features=3, *, ids=False, sequences=2, timesteps=5):
    return SimpleNamespace(
        name="x.npy",
        sequences=sequences,
        timesteps=timesteps,
        features=None if ids else features,
        is_ids=ids,
        lengths=None,
        mask=None,
        initial={},
    )


def names(plan):
    return [node.name for node in plan.nodes]


STACK = (Node("a", lstm(3, 4), ("x",)), Node("b", lstm(4, 5), ("a",)))
TOWERS = (Node("a", lstm(3, 4), ("x",)), Node("b", lstm(7, 4), ("y",)))


def test_a_stack_runs_from_its_first_layer():
    plan = plan_run(checkpoint(*STACK), source())
    assert names(plan) == ["a", "b"]
    assert plan.entries == {"x"}
    assert plan.from_input == {"a"}
    assert plan.notes == ()


def test_layer_runs_what_it_reads_and_no_more():
    assert names(plan_run(checkpoint(*STACK), source(), layers=["a"])) == ["a"]
    assert names(plan_run(checkpoint(*STACK), source(), layers=["b"])) == ["a", "b"]
    assert names(plan_run(checkpoint(*STACK), source(), layers=["?"])) == ["a", "b"]


def test_a_pattern_that_fits_nothing_lists_the_layers():
    with pytest.raises(OptionError) as error:
        plan_run(checkpoint(*STACK), source(), layers=["c*"])
    assert error.value.expected == "one of a, b"


def test_of_two_towers_the_one_that_fits_runs_and_the_other_is_named():
    plan = plan_run(checkpoint(*TOWERS, inputs=("x", "y")), source(7))
    assert names(plan) == ["b"]
    (note,) = plan.notes
    assert note == "'a' was not run: it takes 3 features, the input has 7."


def test_a_width_that_fits_no_layer_names_those_that_would():
    with pytest.raises(InputError) as error:
        plan_run(checkpoint(*TOWERS, inputs=("x", "y")), source(5))
    assert error.value.expected == "3 (layer 'a'), 7 (layer 'b')"
    assert error.value.found.startswith("5 features: 2 sequences x 5 timesteps")
    assert "model_input" in error.value.hint


def test_a_width_that_is_the_number_of_timesteps_hints_at_the_axes():
    with pytest.raises(InputError) as error:
        plan_run(checkpoint(*STACK), source(5, timesteps=3))
    assert "another order" in error.value.hint


def test_masking_and_dropout_in_front_are_looked_through():
    nodes = (
        Node("masking", Masking(0.0), ("x",)),
        Node("dropout", PassThrough("Dropout"), ("masking",)),
        Node("a", lstm(3, 4), ("dropout",)),
    )
    plan = plan_run(checkpoint(*nodes), source())
    assert names(plan) == ["masking", "dropout", "a"] or names(plan)[-1] == "a"
    assert plan.from_input == {"a"}


EMBEDDED = (
    Node("embedding", Embedding(np.zeros((9, 3)), name="embedding"), ("ids",)),
    Node("a", lstm(3, 4), ("embedding",)),
)


def test_ids_go_through_the_embedding_and_features_past_it():
    net = checkpoint(*EMBEDDED, inputs=("ids",))
    by_ids = plan_run(net, source(ids=True))
    assert (names(by_ids), by_ids.entries) == (["embedding", "a"], {"ids"})
    assert by_ids.from_input == set()
    by_features = plan_run(net, source(3))
    assert (names(by_features), by_features.entries) == (["a"], {"embedding"})
    assert by_features.from_input == {"a"}


def test_ids_without_an_embedding():
    with pytest.raises(InputError, match="no embedding"):
        plan_run(checkpoint(*STACK), source(ids=True))


DENSE_IN_FRONT = (
    Node("dense", Dense(np.zeros((8, 3))), ("x",)),
    Node("a", lstm(3, 4), ("dense",)),
)


def test_model_input_runs_what_stands_in_front():
    net = checkpoint(*DENSE_IN_FRONT)
    plan = plan_run(net, source(8), model_input=True)
    assert (names(plan), plan.entries) == (["dense", "a"], {"x"})
    assert plan.from_input == set()
    assert names(plan_run(net, source(3))) == ["a"]


def test_model_input_of_a_layer_with_two_inputs():
    nodes = (
        Node("both", BidirectionalMerge("concat"), ("x", "y")),
        Node("a", lstm(3, 4), ("both",)),
    )
    with pytest.raises(OptionError, match="reads one input") as error:
        plan_run(checkpoint(*nodes, inputs=("x", "y")), source(), model_input=True)
    assert error.value.found == "x, y"


def test_two_directions_bring_their_merge():
    nodes = (
        Node("b/forward", lstm(3, 4), ("x",)),
        Node("b/backward", lstm(3, 4, backward=Option(True, "graph")), ("x",)),
        Node("b", BidirectionalMerge("concat"), ("b/forward", "b/backward")),
    )
    assert names(plan_run(checkpoint(*nodes), source())) == ["b/forward", "b/backward", "b"]
    assert names(plan_run(checkpoint(*nodes), source(), layers=["*/forward"])) == ["b/forward"]


def test_what_cannot_be_computed_stops_what_reads_it_and_nothing_else():
    obstacle = Unsupported("Conv1D", "conv", "convolutions are not computed")
    nodes = (
        Node("a", lstm(3, 4), ("x",)),
        Node("conv", obstacle, ("a",)),
        Node("b", lstm(4, 5), ("conv",)),
    )
    plan = plan_run(checkpoint(*nodes), source())
    assert names(plan) == ["a"]
    text = " ".join(plan.notes)
    assert "'conv' (Conv1D) is not computed" in text
    assert "'b' was not run" in text


def test_a_decoder_needs_inputs_of_its_own():
    nodes = (
        Node("encoder", lstm(3, 4), ("x",)),
        Node("decoder", lstm(3, 4, initial_state=Option(FROM_ENCODER, "graph")), ("y",)),
    )
    plan = plan_run(checkpoint(*nodes, inputs=("x", "y")), source())
    assert names(plan) == ["encoder"]
    assert "starts from the final state of 'encoder'" in " ".join(plan.notes)


def own_output(name):
    return Unsupported("loop function", name, "it reads its own output")


BLOCKED = InitialState(dict.fromkeys("cm", UncomputedState("b[initial state]")), "what a makes")
SKIPPED = {
    "width": (TOWERS, source(7), {}, "a", "it takes 3 features, the input has 7."),
    "ids": (
        (
            Node("embedding", Embedding(np.zeros((9, 3))), ("x",)),
            Node("b", lstm(3, 4), ("embedding",)),
            Node("a", lstm(7, 4), ("y",)),
        ),
        source(ids=True),
        {},
        "a",
        "the input holds ids, and no embedding stands in front of it.",
    ),
    "no input": (
        (Node("a", lstm(3, 4), ()), Node("b", lstm(3, 4), ("x",))),
        source(),
        {},
        "a",
        "the file does not say what it reads (feed=a gives the input to it).",
    ),
    "not fed": (
        (Node("a", lstm(3, 4), ("x",)), Node("b", lstm(3, 4), ("x",))),
        source(),
        {"feed": ["b"]},
        "a",
        "the input goes to other layers alone (feed).",
    ),
    "own output": (
        (
            Node("a[loop]", own_output("a[loop]"), ("x",)),
            Node("a", lstm(3, 4), ("a[loop]",)),
            Node("b", lstm(3, 4), ("x",)),
        ),
        source(),
        {},
        "a",
        "it reads its own output.",
    ),
    "initial state": (
        (
            Node("a", lstm(3, 4), ("x",)),
            Node("b[initial state]", Unsupported("initial state", "b[initial state]"), ("a",)),
            Node("b", lstm(3, 4, initial_state=Option(BLOCKED, "graph")), ("x",)),
        ),
        source(),
        {},
        "b",
        "its initial state is not computed.",
    ),
    "start": (
        (
            Node("encoder", lstm(7, 4), ("y",)),
            Node("a", lstm(3, 4), ("x",)),
            Node("b", lstm(4, 4, initial_state=Option(FROM_ENCODER, "graph")), ("a",)),
        ),
        source(),
        {},
        "b",
        "'encoder', from whose final state it starts, was not run.",
    ),
    "reads": (
        (
            Node("a", lstm(3, 4), ("x",)),
            Node("conv", Unsupported("Conv1D", "conv"), ("a",)),
            Node("b", lstm(4, 5), ("conv",)),
        ),
        source(),
        {},
        "b",
        "what it reads was not computed.",
    ),
}


@pytest.mark.parametrize("reason", SKIPPED)
def test_why_a_layer_is_not_run_is_recorded_and_said(reason):
    nodes, given, ways, name, words = SKIPPED[reason]
    plan = plan_run(checkpoint(*nodes, inputs=("x", "y")), given, **ways)
    assert name not in [node.name for node in plan.layers]
    (skipped,) = (layer for layer in plan.skipped if layer.name == name)
    assert skipped.reason == reason
    assert skipped.words == f"'{name}' was not run: {words}"
    assert skipped.words in plan.notes


def test_a_layer_that_was_not_asked_for_is_not_skipped():
    plan = plan_run(checkpoint(*TOWERS, inputs=("x", "y")), source(7), layers=["b"])
    assert (plan.skipped, plan.notes) == ((), ())


def test_where_no_width_is_wrong_the_error_says_what_is():
    """Not that it takes 3 features and the input has 3."""
    nodes = (
        Node("b[initial state]", Unsupported("initial state", "b[initial state]"), ("z",)),
        Node("b", lstm(3, 4, initial_state=Option(BLOCKED, "config")), ("x",)),
    )
    with pytest.raises(UnsupportedCellError) as error:
        plan_run(checkpoint(*nodes, inputs=("x", "z")), source())
    assert error.value.found == "'b' was not run: its initial state is not computed."


def test_a_state_from_an_input_of_the_model_keeps_no_layer_from_running():
    fed = InitialState(
        {"m": OutsideState("model input", "h"), "c": OutsideState("model input", "c")},
        listed=("h", "c"),
    )
    net = checkpoint(
        Node("a", lstm(3, 4, initial_state=Option(fed, "config")), ("x",)), inputs=("x", "h", "c")
    )
    for ways in ({}, {"feed": ["a"]}, {"model_input": True}):
        plan = plan_run(net, source(), **ways)
        assert (names(plan), plan.skipped) == (["a"], ())


def test_a_file_without_recurrent_layers_tells_what_it_holds():
    empty = checkpoint(left_out=(LeftOut("strange/kernel", "[x, m] is split into 3 gates"),))
    with pytest.raises(UnsupportedCellError) as error:
        plan_run(empty, source())
    assert "strange/kernel: [x, m] is split into 3 gates" in error.value.found
    assert "rnnscope.open_model(" in error.value.hint
