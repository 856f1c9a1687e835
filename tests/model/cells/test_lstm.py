"""The LSTM step against one unit worked out by hand with `math`: every weight differs."""

from __future__ import annotations

from dataclasses import replace
from math import exp, tanh

import numpy as np
import pytest

from rnnscope.model.activations import ACTIVATIONS
from rnnscope.model.cell import (
    GATE_ORDER,
    CellSpec,
    LSTMOptions,
    LSTMWeights,
    Option,
    reorder_gates,
)
from rnnscope.model.cells import CELLS
from rnnscope.model.cells.classes import CELL_CLASSES
from rnnscope.model.cells.lstm import LSTM, lstm_step

X, C_PREV, M_PREV = 0.5, 0.8, -0.3
KERNEL = {"i": 0.1, "f": 0.2, "g": -0.7, "o": 0.4}
RECURRENT = {"i": -0.5, "f": 0.6, "g": 0.9, "o": -0.8}
BIAS = {"i": 0.05, "f": -0.15, "g": 0.25, "o": 0.35}
PEEPHOLE = {"i": 1.1, "f": -1.2, "o": 1.3}


def sigmoid(z):
    return 1 / (1 + exp(-z))


def z(gate):
    """The pre-activation of a gate without forget bias and peephole."""
    return X * KERNEL[gate] + M_PREV * RECURRENT[gate] + BIAS[gate]


def weights(**changes):
    def row(by_gate):
        return np.array([[by_gate[gate] for gate in GATE_ORDER]])

    return replace(LSTMWeights(row(KERNEL), row(RECURRENT), row(BIAS)[0]), **changes)


def peepholes():
    return {f"peephole_{gate}": np.array([value]) for gate, value in PEEPHOLE.items()}


def options(**values):
    settings = {
        "forget_bias": 0.0,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "output_activation": values.get("activation", "tanh"),
        "cell_clip": None,
        "proj_clip": None,
        **values,
    }
    return LSTMOptions(**{name: Option(value, "graph") for name, value in settings.items()})


def step(given=None, **values):
    """One step; everything as plain floats."""
    given = given or weights()
    z_x = X * given.kernel + given.bias
    result = lstm_step(
        z_x, np.array([[C_PREV]]), np.full((1, given.output_size), M_PREV), given, options(**values)
    )
    return {name: array.item() for name, array in result._asdict().items()}


def approx(value):
    return pytest.approx(value, rel=1e-14)


def test_every_gate_has_its_own_weights():
    i, f, g, o = sigmoid(z("i")), sigmoid(z("f")), tanh(z("g")), sigmoid(z("o"))
    c = f * C_PREV + i * g
    found = step()
    assert (found["i"], found["f"], found["g"], found["o"]) == tuple(map(approx, (i, f, g, o)))
    assert found["c"] == approx(c)
    assert found["m"] == approx(o * tanh(c))
    # By pocket calculator, so that the arithmetic above cannot drift along with the weights.
    assert [z(gate) for gate in "ifgo"] == [approx(v) for v in (0.25, -0.23, -0.37, 0.79)]
    assert found["c"] == pytest.approx(0.442752 * 0.8 - 0.562177 * 0.353990, abs=1e-6)
    assert found["m"] == pytest.approx(0.687835 * 0.153962, abs=1e-6)


def test_the_forget_bias_is_added_to_the_forget_gate_alone():
    f = sigmoid(z("f") + 1.5)
    found = step(forget_bias=1.5)
    assert found["f"] == approx(f)
    assert found["i"] == approx(sigmoid(z("i")))
    assert found["c"] == approx(f * C_PREV + sigmoid(z("i")) * tanh(z("g")))


def test_peepholes_of_i_and_f_see_the_previous_c_and_that_of_o_the_new_one():
    i = sigmoid(z("i") + 1.1 * C_PREV)
    f = sigmoid(z("f") + 0.5 - 1.2 * C_PREV)
    c = f * C_PREV + i * tanh(z("g"))
    o = sigmoid(z("o") + 1.3 * c)
    found = step(weights(**peepholes()), forget_bias=0.5)
    assert [found[name] for name in "ifoc"] == [approx(value) for value in (i, f, o, c)]
    assert found["m"] == approx(o * tanh(c))


@pytest.mark.parametrize("gate", "ifo")
def test_each_peephole_may_stand_alone(gate):
    found = step(weights(**{f"peephole_{gate}": np.array([PEEPHOLE[gate]])}))
    seen = found["c"] if gate == "o" else C_PREV
    assert found[gate] == approx(sigmoid(z(gate) + PEEPHOLE[gate] * seen))
    for other in set("ifo") - {gate}:
        assert found[other] == approx(sigmoid(z(other)))


def test_c_is_clipped_before_the_peephole_of_o_and_the_output_see_it():
    unclipped = sigmoid(z("f") - 1.2 * C_PREV) * C_PREV + sigmoid(z("i") + 1.1 * C_PREV) * tanh(
        z("g")
    )
    assert unclipped < -0.05
    o = sigmoid(z("o") + 1.3 * -0.05)
    found = step(weights(**peepholes()), cell_clip=0.05)
    assert found["c"] == -0.05
    assert found["o"] == approx(o)
    assert found["m"] == approx(o * tanh(-0.05))


def test_a_clip_that_is_not_reached_changes_nothing():
    assert step(cell_clip=0.9) == step()


def test_m_is_projected_then_clipped():
    projection = np.array([[2.0, -30.0]])
    given = weights(
        projection=projection, recurrent_kernel=np.repeat([list(RECURRENT.values())], 2, 0) / 2
    )
    inner = step()["m"]
    result = lstm_step(
        X * given.kernel + given.bias,
        np.array([[C_PREV]]),
        np.full((1, 2), M_PREV),
        given,
        options(proj_clip=0.5),
    )
    assert result.m[0, 0] == approx(inner * 2)
    assert result.m[0, 1] == -0.5  # inner * -30 is beyond the clip


def test_a_proj_clip_without_a_projection_does_nothing():
    """As in LSTMCell, which clips only what it has projected."""
    assert step(proj_clip=0.001) == step()


def test_the_three_activations_stand_where_they_belong():
    found = step(
        activation="relu", recurrent_activation="hard_sigmoid", output_activation="softsign"
    )
    i, f, o = (0.2 * z(gate) + 0.5 for gate in "ifo")
    g = max(z("g"), 0.0)
    c = f * C_PREV + i * g
    assert [found[name] for name in "ifgoc"] == [approx(v) for v in (i, f, g, o, c)]
    assert found["m"] == approx(o * c / (1 + abs(c)))


def test_zero_weights_halve_c_at_every_step():
    """All gates are a half and the candidate is zero."""
    zero = LSTMWeights(np.zeros((2, 12)), np.zeros((3, 12)), np.zeros(12))
    c = np.array([[1.0, -2.0, 4.0]])
    found = lstm_step(np.zeros((1, 12)), c, np.ones((1, 3)), zero, options())
    assert np.array_equal(found.c, c / 2)
    assert np.array_equal(found.m, 0.5 * np.tanh(c / 2))
    assert not found.g.any()


def test_float32_stays_float32():
    wide = weights()
    arrays = (wide.kernel, wide.recurrent_kernel, wide.bias)
    given = LSTMWeights(*(array.astype(np.float32) for array in arrays))
    one = np.ones((1, 1), np.float32)
    found = lstm_step(one * given.kernel, one, one, given, options(forget_bias=1.0, cell_clip=0.3))
    assert {array.dtype for array in found} == {np.dtype(np.float32)}


def test_reorder_gates_takes_each_block_to_its_place():
    stored = np.arange(8).reshape(1, 8)  # i i g g f f o o
    assert reorder_gates(stored, ("i", "g", "f", "o")).tolist() == [[0, 1, 4, 5, 2, 3, 6, 7]]
    # A coupled cell has no i.
    assert reorder_gates(np.arange(3), ("g", "f", "o")).tolist() == [1, 0, 2]


def bound(given=None, **values):
    spec = CellSpec("lstm", "LSTMCell", given or weights(), options(**values), (), "i f g o")
    return LSTM.m_bound(spec)


@pytest.mark.parametrize(
    ("given", "values", "expected"),
    [
        (None, {}, 1.0),
        (None, {"activation": "relu"}, None),
        (None, {"activation": "relu", "cell_clip": 3.0}, 3.0),
        (None, {"recurrent_activation": "linear"}, None),
        (weights(projection=np.array([[2.0, -3.0]])), {}, 3.0),
        (weights(projection=np.array([[2.0]])), {"proj_clip": 0.5}, 0.5),
        (weights(projection=np.array([[2.0]])), {"activation": "relu"}, None),
    ],
)
def test_m_bound(given, values, expected):
    assert bound(given, **values) == expected


def test_the_cell_names_its_states_and_gates():
    cell = CELLS["lstm"]
    spec = CellSpec(cell.kind, "", weights(), options(), (), "i f g o")
    assert tuple(cell.widths(spec)) == cell.states
    before = {name: np.zeros((2, width)) for name, width in cell.widths(spec).items()}
    state, gates = cell.step(spec, cell.project(spec, np.ones((2, 1))), before)
    assert (tuple(state), tuple(gates)) == (cell.states, cell.gates)


@pytest.mark.parametrize("known", CELL_CLASSES.values(), ids=list(CELL_CLASSES))
def test_the_defaults_of_a_class_can_be_computed(known):
    defaults = known.options()
    assert {option.origin for _, option in defaults.items()} == {"class default"}
    assert defaults.activation.value in ACTIVATIONS
    assert sorted(known.stored_gate_order) == sorted(GATE_ORDER)
