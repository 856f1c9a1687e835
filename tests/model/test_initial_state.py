"""What a layer starts from: its parts, and the words that are printed of them."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.model.initial_state import (
    ZERO_STATE,
    FinalState,
    GivenState,
    InitialState,
    OutsideState,
    StoredState,
    UncomputedState,
    join_state,
)

C0 = StoredState(np.arange(3.0), "variable 'c0'")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ZERO_STATE, "zeros"),
        (InitialState.handed_over("cm", ["enc"]), "final state of layer 'enc'"),
        (
            InitialState.handed_over("cm", ["fw", "bw"]),
            "final states of layers 'fw', 'bw', side by side",
        ),
        (
            InitialState.handed_over("m", ["fw", "bw"], "sum"),
            "final states of layers 'fw', 'bw', added up",
        ),
        (
            InitialState({"c": C0, "m": OutsideState("placeholder", "m0")}),
            "c from variable 'c0', m from placeholder 'm0'",
        ),
        (InitialState({"c": OutsideState("op", "x/add", "Add")}), "c from op Add 'x/add'"),
        (InitialState({"c": GivenState(), "m": GivenState()}), "given with the input"),
        (
            InitialState({"c": GivenState(), "m": FinalState(("enc",))}),
            "c given with the input, m from final state of layer 'enc'",
        ),
        (InitialState({"m": C0}, "constants a"), "constants a"),
    ],
)
def test_words(state, words):
    assert str(state) == words


def test_every_kind_of_part_is_told_apart():
    state = InitialState(
        {
            "c": FinalState(("fw", "bw")),
            "m": UncomputedState("dec[initial state]"),
            "a": C0,
            "b": OutsideState("model input", "b_in"),
            "d": GivenState("dec"),
        }
    )
    assert state.from_layers == ("fw", "bw")
    assert state.join == "concat"
    assert state.handed_states == ("c",)
    assert state.stand_ins == ("dec[initial state]",)
    assert state.nodes == ("fw", "bw", "dec[initial state]")
    assert state.stored().keys() == {"a"}
    assert state.outside() == {"b": OutsideState("model input", "b_in")}
    assert state.given_states == ("d",)
    assert (ZERO_STATE.nodes, ZERO_STATE.join) == ((), None)


def test_other_names_for_layers():
    state = InitialState(
        {"c": FinalState(("a",)), "m": UncomputedState("a")}, listed=("a", "x")
    ).renamed(lambda name: {"a": "b"}.get(name, name))
    assert state.from_layers == ("b",)
    assert state.stand_ins == ("b",)
    assert state.listed == ("b", "x")


@pytest.mark.parametrize(("shape", "sequences", "fits"), [((3,), 7, True), ((2, 3), 2, True),
                                                          ((2, 3), 7, False)])  # fmt: skip
def test_stored_values_are_for_all_sequences_or_for_as_many(shape, sequences, fits):
    values = np.arange(np.prod(shape)).reshape(shape)
    assert StoredState(values).fits(sequences) is fits


def test_states_are_joined_in_order_or_added():
    one, two = np.array([[1.0, 2]]), np.array([[30.0, 40]])
    assert join_state([one, two], "concat").tolist() == [[1, 2, 30, 40]]
    assert join_state([one, two], "sum").tolist() == [[31, 42]]


def test_rows_that_are_all_alike_are_for_any_number_of_sequences():
    alike = StoredState(np.full((2, 3), 4.0))
    assert alike.fits(7)
    np.testing.assert_array_equal(alike.rows(slice(5, 7)), np.full(3, 4.0))
    each = StoredState(np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(each.rows(slice(1, 2)), [[3, 4, 5]])
