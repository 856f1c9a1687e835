"""Walks over a network: each with a network that would show it wrong."""

from __future__ import annotations

import numpy as np
import pytest
from lstm_cases import make_layer

from rnnscope.model.initial_state import ZERO_STATE, InitialState, UncomputedState
from rnnscope.model.layers import BidirectionalMerge, Dense, PassThrough, Unsupported
from rnnscope.model.network import Network, Node

PLAIN = PassThrough("Dropout")


def rec(name, reads, start=ZERO_STATE, *, backward=False):
    layer = make_layer(np.random.default_rng(1), 3, 2, backward=backward).starting(start, "graph")
    return Node(name, layer, (reads,))


def handed(*layers):
    return InitialState.handed_over("cm", layers)


STACK = Network(
    ("x", "y"),
    (
        Node("drop", PLAIN, ("x",)),
        rec("fw", "drop"),
        rec("bw", "drop", backward=True),
        Node("both", BidirectionalMerge("concat"), ("fw", "bw")),
        rec("top", "both"),
        Node("front", PLAIN, ("y",)),
        rec("decoder", "front", handed("fw", "bw")),
        Node("head", Dense(np.eye(2)), ("decoder",)),
    ),
)


def test_nodes_by_name():
    assert STACK.node("top") is STACK.nodes[4]
    with pytest.raises(KeyError):
        STACK.node("x")


def test_upstream_is_what_is_read_and_not_what_is_started_from():
    assert STACK.upstream_of(["top"]) == {"top", "both", "fw", "bw", "drop", "x"}
    assert STACK.upstream_of(["decoder"]) == {"decoder", "front", "y"}
    assert STACK.upstream_of(["top"], until=["both"]) == {"top", "both"}


def test_downstream_is_what_reads():
    assert STACK.downstream_of(["fw"]) == {"fw", "both", "top"}
    assert STACK.downstream_of(["y"]) == {"y", "front", "decoder", "head"}
    assert STACK.downstream_of(["y"], until=["decoder"]) == {"y", "front"}


def test_needed_is_what_is_read_and_what_is_started_from():
    assert STACK.needed_by(["decoder"]) == {"decoder", "front", "fw", "bw", "drop"}
    assert STACK.needed_by(["nobody", "x"]) == set()


def test_a_merge_belongs_to_its_two_directions():
    assert STACK.with_merges(["fw", "bw"]) == {"fw", "bw", "both"}
    assert STACK.with_merges(["fw"]) == {"fw"}


def test_around_recurrent_layers_heads_and_unread_inputs_are_left_out():
    found = STACK.around_recurrent()
    assert [node.name for node in found.nodes] == [
        "drop", "fw", "bw", "both", "top", "front", "decoder"
    ]  # fmt: skip
    assert found.inputs == ("x", "y")
    without = Network(("x", "z"), STACK.nodes[:2]).around_recurrent()
    assert without.inputs == ("x",)
    assert [n.name for n in STACK.around_recurrent(also=["head"]).nodes][-1] == "head"


def test_inputs_behind_a_node():
    assert STACK.inputs_behind("top") == {"x"}
    assert STACK.inputs_behind("decoder") == {"y"}


def test_recurrent_layers_below():
    assert STACK.recurrent_below(STACK.node("top")) == ("fw", "bw")
    assert STACK.recurrent_below(STACK.node("fw")) == ()
    assert STACK.recurrent_below(STACK.node("head")) == ("decoder",)


def test_the_other_direction():
    assert STACK.other_direction(STACK.node("fw")) is STACK.node("bw")
    assert STACK.other_direction(STACK.node("bw")) is STACK.node("fw")
    assert STACK.other_direction(STACK.node("top")) is None
    assert STACK.other_direction(STACK.node("both")) is None


def test_a_decoder_reads_inputs_of_its_own():
    assert STACK.decodes(STACK.node("decoder"))
    assert not STACK.decodes(STACK.node("top"))
    same = Network(("x",), (rec("a", "x"), rec("b", "x", handed("a"))))
    assert not same.decodes(same.node("b"))


def test_stand_ins_for_a_start_and_for_an_own_output():
    start = Unsupported("initial state", "b[initial state]")
    loop = Unsupported("loop function", "b[loop function]")
    other = Unsupported("Conv1D", "conv")
    network = Network(
        ("x",),
        (
            Node("conv", other, ("x",)),
            rec("a", "conv"),
            Node("b[initial state]", start, ("a",)),
            Node("b[loop function]", loop, ("x",)),
            rec("b", "b[loop function]", InitialState({"c": UncomputedState("b[initial state]")})),
        ),
    )
    assert network.uncomputed_start(network.node("b")).layer is start
    assert network.own_output_before(network.node("b")).layer is loop
    assert network.uncomputed_start(network.node("a")) is None
    assert network.own_output_before(network.node("a")) is None
    assert network.node("b").starts_from == ("b[initial state]",)


def test_order_is_by_what_is_needed():
    shuffled = Network(("x", "y"), tuple(reversed(STACK.nodes)))
    ordered = shuffled.in_order()
    assert {node.name for node in ordered.nodes} == {node.name for node in STACK.nodes}
    place = {node.name: number for number, node in enumerate(ordered.nodes)}
    for node in ordered.nodes:
        for before in (*node.reads, *node.starts_from):
            assert place.get(before, -1) < place[node.name]
    some = shuffled.in_order(["decoder"])
    assert {node.name for node in some.nodes} == {"drop", "fw", "bw", "front", "decoder"}


def test_circles_by_reading_and_by_starting():
    assert STACK.circle() == ()
    reads = Network((), (rec("a", "b"), rec("b", "c"), rec("c", "b")))
    assert reads.circle() == ("b", "c", "b")
    starts = Network(("x",), (rec("a", "b"), rec("b", "x", handed("a"))))
    assert starts.circle() == ("a", "b", "a")


def test_nodes_in_the_place_of_others():
    found = STACK.replaced({"drop": Node("drop", PLAIN, ("new",))}, inputs=["new"])
    assert found.inputs == ("x", "y", "new")
    assert found.node("drop").reads == ("new",)
    assert [node.name for node in found.nodes] == [node.name for node in STACK.nodes]


def test_what_a_file_lists_among_the_inputs():
    start = InitialState.handed_over("cm", ["a"], listed=["a"])
    assert rec("b", "x", start).listed_inputs == ("x", "a")
    assert rec("b", "x", handed("a")).listed_inputs == ("x",)


def test_another_start_keeps_the_layer():
    layer = rec("b", "x").layer
    other = layer.starting(handed("a"), "flag", "why")
    assert other.starts_from_layers == ("a",)
    assert (other.initial_state.origin, other.initial_state.detail) == ("flag", "why")
    assert other.cell is layer.cell
    assert layer.starts_from_layers == ()
