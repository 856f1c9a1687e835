"""Connections that the user gives: ``--feed``, ``--after``, ``--embedding``."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rnnscope.errors import OptionError
from rnnscope.model.cell import CellSpec, LSTMWeights, Option
from rnnscope.model.cells.classes import CELL_CLASSES
from rnnscope.model.cells.gru import GRUOptions, GRUWeights
from rnnscope.model.initial_state import ZERO_STATE, InitialState
from rnnscope.model.layers import Dense, Embedding
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running.overrides import LayerOptions, ValuesByLayer, override_options
from rnnscope.running.planner import plan_run
from rnnscope.running.wiring import FED_INPUT, rewire


def layer(width, **more):
    weights = LSTMWeights(np.zeros((width, 8)), np.zeros((2, 8)), np.zeros(8))
    options = CELL_CLASSES["LSTMCell"].options()
    cell = CellSpec("lstm", "LSTMCell", weights, options, (), "i g f o")
    known = {
        "lengths": Option(LENGTHS_UNUSED, "graph"),
        "initial_state": Option(ZERO_STATE, "graph"),
        "state_format": Option("", "graph"),
    }
    return RecurrentLayer(
        cell, Option(False, "graph"), Option("none", "graph"), **{**known, **more}
    )


def network(*nodes, inputs=("x",)):
    return Network(inputs, tuple(nodes))


TWO = network(Node("a", layer(3), ("x",)), Node("b", layer(2), ("a",)))


def source(features=3, **more):
    known = {
        "is_ids": False,
        "initial": {},
        "lengths": None,
        "mask": None,
        "sequences": 1,
        "timesteps": 4,
    }
    return SimpleNamespace(**known, **more, features=features, name="in.npy", dtype="float32")


def plan(net, given, **ways):
    checkpoint = SimpleNamespace(network=net, left_out=(), path="model")
    return plan_run(checkpoint, given, **ways)


def test_feed_gives_the_input_to_one_layer_alone():
    found = plan(TWO, source(2), feed=["b"])
    assert [node.name for node in found.layers] == ["b"]
    assert found.entries == {FED_INPUT}
    assert found.from_input == {"b"}
    assert found.layers[0].wiring == "flag"


def test_what_reads_a_fed_layer_runs_too():
    found = plan(TWO, source(3), feed=["a"])
    assert [node.name for node in found.layers] == ["a", "b"]


def test_a_fed_layer_starts_on_its_own():
    net = network(
        Node("a", layer(3), ("x",)),
        Node(
            "b",
            layer(3, initial_state=Option(InitialState.handed_over("cm", ["a"]), "graph")),
            ("y",),
        ),
    )
    found = plan(net, source(3), feed=["b"])
    (node,) = found.layers
    assert node.layer.starts_from_layers == ()
    assert node.layer.initial_state == Option(ZERO_STATE, "flag", "feed")


def test_after_reads_another_layer_and_keeps_the_order_runnable():
    net = network(Node("late", layer(2), ("x",)), Node("first", layer(3), ("x",)))
    found = rewire(net, after=["late=first"])
    assert [(node.name, node.reads) for node in found.nodes] == [
        ("first", ("x",)),
        ("late", ("first",)),
    ]
    assert [node.name for node in plan(net, source(3), after=["late=first"]).layers] == [
        "first",
        "late",
    ]


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({"feed": ["c"]}, "feed names a layer that is not there.\n  expected: one of a, b"),
        ({"after": ["c=a"]}, "after names a layer that is not there.\n  expected: one of a, b"),
        ({"after": ["a=c"]}, "after names a layer that is not there.\n  expected: one of a, b"),
        ({"after": ["a"]}, "expected: LAYER=OTHER"),
        ({"after": ["a=b"]}, "'a' reads 'b' reads 'a'"),
    ],
)
def test_what_cannot_be_is_said_with_the_choices(ways, said):
    with pytest.raises(OptionError) as caught:
        rewire(TWO, **ways)
    assert said in str(caught.value)


def embeddings():
    table = np.zeros((9, 3))
    return network(
        Node("words", Embedding(table, name="words"), ("word_ids",)),
        Node("tags", Embedding(table, name="tags"), ("tag_ids",)),
        Node("a", layer(3), ("words",)),
        Node("b", layer(3), ("tags",)),
        inputs=("word_ids", "tag_ids"),
    )


IDS = source(None)
IDS.is_ids = True


def test_one_of_several_embeddings_takes_the_ids():
    found = plan(embeddings(), IDS, embedding="tags")
    assert [node.name for node in found.nodes] == ["tags", "b"]
    assert found.entries == {"tag_ids"}


@pytest.mark.parametrize(
    ("given", "name", "said"),
    [(IDS, "other", "expected: one of words, tags"), (source(3), "words", "holds no ids")],
)
def test_an_embedding_that_takes_no_ids_is_refused(given, name, said):
    with pytest.raises(OptionError) as caught:
        plan(embeddings(), given, embedding=name)
    assert said in str(caught.value)


@pytest.mark.parametrize(("name", "entries"), [("rnn/input_projection_wrapper", {"x"}),
                                               ("front", {"front"})])  # fmt: skip
def test_an_input_projection_wrapper_is_part_of_its_cell(name, entries):
    """Both widths are 3; only the wrapper's name tells that the layer receives x."""
    net = network(Node(name, Dense(np.eye(3)), ("x",)), Node("a", layer(3), (name,)))
    found = plan(net, source(3))
    assert found.entries == entries
    assert len(found.nodes) == (2 if entries == {"x"} else 1)


def test_a_class_of_another_kind_is_no_option_of_a_cell():
    weights = GRUWeights(np.zeros((3, 6)), np.zeros((2, 6)), np.zeros(6))
    options = GRUOptions(
        Option("tanh", "graph"), Option("sigmoid", "graph"), Option(False, "graph")
    )
    cell = CellSpec("gru", "GRUCell", weights, options, (), "r z n")
    gru = network(Node("a", replace(layer(3), cell=cell), ("x",)))
    with pytest.raises(OptionError) as caught:
        override_options(gru, LayerOptions(cell=ValuesByLayer((("*", "LSTMCell"),))), insist=True)
    assert "cell names a class of another kind of cell." in str(caught.value)
