"""Initial states that the user gives: whose they are, and what the layers then start from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from lstm_cases import make_layer

from rnnscope.errors import InputError
from rnnscope.model.initial_state import (
    ZERO_STATE,
    FinalState,
    GivenState,
    InitialState,
    OutsideState,
    UncomputedState,
)
from rnnscope.model.network import Network, Node
from rnnscope.running.given_states import starting_from_given, unblocked


def rec(name, start=ZERO_STATE, units=2):
    layer = make_layer(np.random.default_rng(1), 3, units).starting(start, "config", "key")
    return Node(name, layer, ("x",))


def source(**initial):
    states = {name: dict.fromkeys(given, np.ones((4, 2))) for name, given in initial.items()}
    return SimpleNamespace(name="in.npz", initial=states)


FROM_A = InitialState.handed_over("cm", ["a"], words="h from h of layer 'a'", listed=["a"])


def test_what_is_given_takes_the_place_of_what_the_file_says():
    found = starting_from_given([rec("a"), rec("b", FROM_A)], source(b="cm"))
    (layer,) = (node.layer for node in found.values())
    assert found.keys() == {"b"}
    assert layer.initial_state.value.parts == {"c": GivenState("b"), "m": GivenState("b")}
    assert (str(layer.initial_state.value), layer.initial_state.origin) == (
        "given with the input",
        "flag",
    )
    assert layer.starts_from_layers == ()
    assert found["b"].listed_inputs == ("x", "a")


def test_a_state_that_is_not_given_stays_what_it_was():
    found = starting_from_given([rec("a"), rec("b", FROM_A)], source(b="c"))
    state = found["b"].layer.initial_state.value
    assert state.parts == {"c": GivenState("b"), "m": FinalState(("a",))}
    assert state.handed_states == ("m",)


def test_states_without_a_name_are_for_the_only_layer_that_needs_some():
    unnamed = source(**{"": "cm"})
    found = starting_from_given([rec("a"), rec("b", FROM_A)], unnamed)
    assert found["a"].layer.initial_state.value.given_states == ("c", "m")
    assert found["a"].layer.initial_state.value.parts["c"] == GivenState("")
    with pytest.raises(InputError, match="several layers") as caught:
        starting_from_given([rec("a"), rec("b")], unnamed)
    assert caught.value.expected == "a/initial_c, b/initial_c"


def test_what_fits_no_layer_is_refused():
    with pytest.raises(InputError, match="not run") as caught:
        starting_from_given([rec("a")], source(b="c"))
    assert (caught.value.expected, caught.value.found) == ("one of a", "b")
    with pytest.raises(InputError, match="does not fit") as caught:
        starting_from_given([rec("a", units=3)], source(a="c"))
    assert caught.value.expected == "c: width 3, m: width 3"
    with pytest.raises(InputError, match="does not fit"):
        starting_from_given([rec("a")], source(a=["h"]))


def test_given_states_stand_in_for_those_that_are_not_computed():
    blocked = InitialState({"m": UncomputedState("s"), "c": OutsideState("model input", "c_in")})
    network = Network(("x", "c_in"), (rec("a"), rec("b", blocked)))
    free = unblocked(network, {"b": ["m"]})
    assert free.node("b").starts_from == ()
    assert free.node("b").layer.initial_state.value.outside().keys() == {"c"}
    assert free.node("a") is network.node("a")
    for too_little in ({"b": ["c"]}, {"a": ["m"]}, {"": ["m"]}, {}):
        assert unblocked(network, too_little).node("b").starts_from == ("s",)


def test_nothing_is_given():
    assert starting_from_given([rec("a")], source()) == {}
