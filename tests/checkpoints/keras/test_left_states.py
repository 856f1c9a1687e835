"""The states that a stateful layer was saved with: used, as TensorFlow uses them when it loads."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from rnnscope.checkpoints.keras.left_states import goes_on, left_states, start_of
from rnnscope.checkpoints.keras.weights import NoWeights, StoredVariable
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import CellSpec, LSTMWeights
from rnnscope.model.initial_state import ZERO_STATE, InitialState, OutsideState

NAMES = ("h", "c")


def config(**values):
    return ConfigView(values, "layer 'l'")


def left(*arrays):
    return tuple(
        StoredVariable(f"states/{number}", array.shape, lambda array=array: array)
        for number, array in enumerate(arrays)
    )


def weights(*arrays):
    return SimpleNamespace(left_states=lambda: left(*arrays))


@pytest.fixture
def spec():
    held = LSTMWeights(np.zeros((5, 8)), np.zeros((2, 8)), np.zeros(8))
    return CellSpec("lstm", "keras LSTM", held, None, (), "")


def test_h_and_c_are_m_and_c_of_the_start(spec):
    m, c = np.full((3, 2), 0.5), np.full((3, 2), -1.0)
    start = start_of(spec, NAMES, left(m, c))
    assert start.origin == "config"
    assert start.value.parts["m"].values.tolist() == m.tolist()
    assert start.value.parts["c"].values.tolist() == c.tolist()
    assert start_of(spec, NAMES, ()).value is ZERO_STATE


def test_a_state_of_another_width_is_damage(spec):
    with pytest.raises(CheckpointError, match="wrong shape"):
        start_of(spec, NAMES, left(np.zeros((3, 2)), np.zeros((3, 4))))


def test_only_stateful_layers_have_been_left_any():
    arrays = np.ones((3, 2)), np.ones((3, 2))
    assert len(left_states([NAMES], config(stateful=True), weights(*arrays))) == 2
    assert left_states([NAMES], config(stateful=False), weights(*arrays)) == ()
    assert left_states([NAMES], config(stateful=True), weights(arrays[0])) == ()
    assert left_states([NAMES], config(stateful=True), NoWeights()) == ()


def test_states_of_a_call_give_way_unless_what_was_left_is_zero(spec):
    ones, zeros = np.ones((3, 2)), np.zeros((3, 2))
    assert goes_on(start_of(spec, NAMES, left(zeros, ones)).value)
    assert not goes_on(start_of(spec, NAMES, left(zeros, zeros)).value)
    assert not goes_on(InitialState({"m": OutsideState("model input", "h_in")}))
