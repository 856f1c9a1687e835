"""The other cells against one unit worked out by hand with `math`: every weight differs.

Layer normalisation over a single unit is always beta, so that cell gets two units.
"""

from __future__ import annotations

from dataclasses import fields, replace
from math import exp, sqrt, tanh

import numpy as np
import pytest

from rnnscope.model.cell import CellSpec, Option, reorder_gates
from rnnscope.model.cells import CELLS
from rnnscope.model.cells.coupled_lstm import CoupledLSTMOptions, CoupledLSTMWeights
from rnnscope.model.cells.graph_cell import GraphComputation, GraphOptions
from rnnscope.model.cells.gru import GRU_GATE_ORDER, GRUOptions, GRUWeights
from rnnscope.model.cells.layer_norm_lstm import LayerNormLSTMOptions, LayerNormLSTMWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights
from rnnscope.model.states import LayerStates

X, C_PREV, M_PREV = 0.5, 0.8, -0.3


def sigmoid(z):
    return 1 / (1 + exp(-z))


def approx(value):
    return pytest.approx(value, rel=1e-13)


def row(*values):
    return np.array([values])


def options(kind, **values):
    return kind(**{name: Option(value, "graph") for name, value in values.items()})


def spec(kind, weights, chosen):
    return CellSpec(kind, "a class", weights, chosen, (), "")


def step(cell_spec, x=X, c=C_PREV, m=M_PREV):
    """One step of a cell: states and gates in one dict, batch axis dropped."""
    cell = CELLS[cell_spec.kind]
    start = {"c": np.atleast_2d(c), "m": np.atleast_2d(m)}
    z = cell.project(cell_spec, np.atleast_2d(x))
    state, gates = cell.step(cell_spec, z, {name: start[name] for name in cell.states})
    assert set(state) == set(cell.states)
    assert set(gates) == set(cell.gates)
    return {name: array[0] if array.size > 1 else array.item() for name, array in
            {**state, **gates}.items()}  # fmt: skip


def gru(**changes):
    weights = GRUWeights(row(0.1, 0.2, -0.7), row(-0.5, 0.6, 0.9), row(0.05, -0.15, 0.25)[0])
    chosen = {
        "activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": False, **changes,
    }  # fmt: skip
    return spec("gru", weights, options(GRUOptions, **chosen))


def test_a_gru_resets_m_in_front_of_the_product():
    r = sigmoid(X * 0.1 + M_PREV * -0.5 + 0.05)
    z = sigmoid(X * 0.2 + M_PREV * 0.6 - 0.15)
    n = tanh(X * -0.7 + (r * M_PREV) * 0.9 + 0.25)
    found = step(gru())
    assert (found["r"], found["z"], found["n"]) == (approx(r), approx(z), approx(n))
    assert found["m"] == approx(z * M_PREV + (1 - z) * n)
    # By pocket calculator: sigmoid(0.25), sigmoid(-0.23), tanh(-0.1 - 0.27 r).
    assert found["r"] == pytest.approx(0.562177, abs=1e-6)
    assert found["z"] == pytest.approx(0.442752, abs=1e-6)
    assert found["n"] == pytest.approx(-0.246598, abs=1e-6)


def test_with_reset_after_the_recurrent_bias_of_n_is_reset_too():
    weights = replace(gru().weights, recurrent_bias=row(0.3, -0.4, 0.45)[0])
    after = replace(gru(reset_after=True), weights=weights)
    r = sigmoid(X * 0.1 + M_PREV * -0.5 + 0.05 + 0.3)
    z = sigmoid(X * 0.2 + M_PREV * 0.6 - 0.15 - 0.4)
    n = tanh(X * -0.7 + 0.25 + r * (M_PREV * 0.9 + 0.45))
    found = step(after)
    assert (found["r"], found["z"], found["n"]) == (approx(r), approx(z), approx(n))
    assert found["m"] == approx(z * M_PREV + (1 - z) * n)

    before = replace(gru(), weights=weights)
    assert step(before)["n"] == approx(tanh(X * -0.7 + 0.25 + r * M_PREV * 0.9 + 0.45))


def test_reset_before_mixes_units_that_reset_after_keeps_apart():
    # With one unit r commutes with the product; with two it does not.
    random = np.random.default_rng(3)
    weights = GRUWeights(
        random.normal(size=(1, 6)), random.normal(size=(2, 6)), random.normal(size=6)
    )
    before = replace(gru(), weights=weights)
    after = replace(gru(reset_after=True), weights=weights)
    m = np.array([0.4, -0.9])
    r = step(before, m=m)["r"]
    kernel, recurrent = weights.kernel[0, 4:], weights.recurrent_kernel[:, 4:]
    z = X * kernel + weights.bias[4:]
    assert step(before, m=m)["n"] == approx(np.tanh(z + (r * m) @ recurrent))
    assert step(after, m=m)["n"] == approx(np.tanh(z + r * (m @ recurrent)))
    assert abs(step(before, m=m)["n"] - step(after, m=m)["n"]).max() > 0.01


def test_gru_activations_are_the_ones_asked_for():
    found = step(gru(activation="relu", recurrent_activation="hard_sigmoid"))
    r = 0.2 * 0.25 + 0.5
    assert found["r"] == approx(r)
    assert found["z"] == approx(0.2 * -0.23 + 0.5)
    assert found["n"] == max(0, X * -0.7 + r * M_PREV * 0.9 + 0.25)


def test_gru_blocks_are_reordered_from_every_framework():
    stored = np.array([[10, 11, 20, 21, 30, 31]])
    assert reorder_gates(stored, ("z", "r", "n"), order=GRU_GATE_ORDER).tolist() == [
        [20, 21, 10, 11, 30, 31]
    ]


def test_m_of_a_gru_is_bounded_where_the_gates_are():
    assert CELLS["gru"].m_bound(gru()) == 1
    assert CELLS["gru"].m_bound(gru(activation="relu")) is None
    assert CELLS["gru"].m_bound(gru(recurrent_activation="linear")) is None


def simple(activation="tanh"):
    weights = SimpleRNNWeights(row(0.7), row(-0.9), np.array([0.1]))
    return spec("simple_rnn", weights, options(SimpleRNNOptions, activation=activation))


@pytest.mark.parametrize(("name", "function"), [("tanh", tanh), ("relu", lambda z: max(z, 0))])
def test_a_simple_cell_is_one_activation(name, function):
    cell_spec = simple(name)
    assert step(cell_spec)["m"] == approx(function(X * 0.7 + M_PREV * -0.9 + 0.1))
    assert CELLS["simple_rnn"].m_bound(cell_spec) == (1 if name == "tanh" else None)


def norm(values, gamma, beta):
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return [
        (value - mean) / sqrt(variance + 1e-12) * g + b
        for value, g, b in zip(values, gamma, beta, strict=True)
    ]


def layer_norm():
    random = np.random.default_rng(5)
    weights = LayerNormLSTMWeights(
        kernel=random.normal(size=(1, 8)),
        recurrent_kernel=random.normal(size=(2, 8)),
        gamma=random.uniform(0.5, 1.5, 8),
        beta=random.normal(size=8),
        state_gamma=np.array([1.3, 0.7]),
        state_beta=np.array([0.2, -0.1]),
    )
    chosen = options(
        LayerNormLSTMOptions,
        forget_bias=1.5, activation="tanh", recurrent_activation="sigmoid", epsilon=1e-12,
    )  # fmt: skip
    return spec("layer_norm_lstm", weights, chosen)


def test_the_layer_norm_cell_carries_the_normalised_c():
    weights = layer_norm().weights
    kernel, recurrent = weights.kernel, weights.recurrent_kernel
    c_prev, m_prev = [0.8, -0.4], [-0.3, 0.6]
    found = step(layer_norm(), c=np.array(c_prev), m=np.array(m_prev))

    gates = {}
    for number, gate in enumerate("ifgo"):
        here = slice(2 * number, 2 * number + 2)
        z = [
            X * kernel[0, k] + m_prev[0] * recurrent[0, k] + m_prev[1] * recurrent[1, k]
            for k in range(here.start, here.stop)
        ]
        normal = norm(z, weights.gamma[here], weights.beta[here])
        if gate == "f":
            normal = [value + 1.5 for value in normal]  # after normalising, which would eat it
        gates[gate] = [tanh(v) if gate == "g" else sigmoid(v) for v in normal]
    raw = [gates["f"][u] * c_prev[u] + gates["i"][u] * gates["g"][u] for u in range(2)]
    c = norm(raw, weights.state_gamma, weights.state_beta)
    for gate, values in gates.items():
        assert found[gate] == approx(np.array(values))
    assert found["c"] == approx(np.array(c))
    assert found["m"] == approx(np.array([gates["o"][u] * tanh(c[u]) for u in range(2)]))


def coupled(**weights):
    given = CoupledLSTMWeights(row(0.2, -0.7, 0.4), row(0.6, 0.9, -0.8), row(-0.15, 0.25, 0.35)[0])
    chosen = options(
        CoupledLSTMOptions,
        forget_bias=0.5, activation="tanh", recurrent_activation="sigmoid", proj_clip=0.25,
    )  # fmt: skip
    return spec("coupled_lstm", replace(given, **weights), chosen)


def test_a_coupled_cell_takes_in_what_it_forgets():
    f = sigmoid(X * 0.2 + M_PREV * 0.6 - 0.15 + 0.5)
    g = tanh(X * -0.7 + M_PREV * 0.9 + 0.25)
    o = sigmoid(X * 0.4 + M_PREV * -0.8 + 0.35)
    c = f * C_PREV + (1 - f) * g
    found = step(coupled())
    assert (found["f"], found["g"], found["o"]) == (approx(f), approx(g), approx(o))
    assert (found["i"], found["c"]) == (approx(1 - f), approx(c))
    assert found["m"] == approx(o * tanh(c))  # proj_clip is for a projection alone


def test_coupled_peepholes_see_the_previous_and_the_new_c():
    f = sigmoid(X * 0.2 + M_PREV * 0.6 - 0.15 + 0.5 - 1.2 * C_PREV)
    c = f * C_PREV + (1 - f) * tanh(X * -0.7 + M_PREV * 0.9 + 0.25)
    o = sigmoid(X * 0.4 + M_PREV * -0.8 + 0.35 + 1.3 * c)
    found = step(coupled(peephole_f=np.array([-1.2]), peephole_o=np.array([1.3])))
    assert (found["f"], found["c"], found["o"]) == (approx(f), approx(c), approx(o))


def test_a_coupled_cell_is_projected_and_clipped():
    plain = step(coupled())["m"]
    projected = coupled(projection=row(2.0, 0.5), recurrent_kernel=row(0.6, 0.9, -0.8).repeat(2, 0))
    found = step(projected, m=np.array([M_PREV, 0.0]))
    assert found["m"] == approx(np.array([min(2 * plain, 0.25), 0.5 * plain]))
    assert CELLS["coupled_lstm"].m_bound(projected) == 0.25
    assert CELLS["coupled_lstm"].m_bound(coupled()) == 1


def leaky(x, lengths, initial):
    """What a graph might hold: m takes in a third of x and keeps the rest, one unit a feature."""
    m = start = initial.get("m", np.zeros((len(x), x.shape[-1]), x.dtype))
    steps = []
    for number in range(x.shape[1]):
        valid = np.ones(len(x), bool) if lengths is None else number < lengths
        m = np.where(valid[:, None], x[:, number] / 3 + m * 2 / 3, m)
        steps.append(m)
    stacked = np.stack(steps, axis=1)
    return LayerStates({"m": stacked}, stacked, {"m": start}, {"m": m})


def graph():
    computation = GraphComputation(1, 1, {"m": 1}, np.dtype(np.float64), leaky, takes_lengths=True)
    return spec("graph", computation, GraphOptions())


def test_a_graph_cell_runs_whole_sequences_and_carries_its_state():
    cell = CELLS["graph"]
    x = np.array([[[X], [-X], [X]]])
    found = cell.run(graph(), x, np.array([2]), {"m": row(M_PREV)})
    first = X / 3 + M_PREV * 2 / 3
    second = -X / 3 + first * 2 / 3
    assert found.states["m"].ravel().tolist() == [approx(first), approx(second), approx(second)]
    assert found.final["m"].item() == approx(second)
    assert cell.widths(graph()) == {"m": 1}
    assert cell.m_bound(graph()) is None
    with pytest.raises(NotImplementedError, match="whole sequences"):
        cell.project(graph(), x)


SAMPLES = (gru, simple, layer_norm, coupled, graph)
STEPPED = [sample for sample in SAMPLES if CELLS[sample().kind].run is None]


def test_every_cell_of_the_table_is_tested_here_or_in_test_lstm():
    assert {"lstm", *(sample().kind for sample in SAMPLES)} == set(CELLS)


@pytest.mark.parametrize("sample", STEPPED, ids=lambda sample: sample.__name__)
def test_every_cell_keeps_shapes_and_dtype_and_names_what_it_returns(sample):
    cell_spec = sample()
    narrow = {
        item.name: value.astype(np.float32)
        for item in fields(cell_spec.weights)
        if (value := getattr(cell_spec.weights, item.name)) is not None
    }
    cell_spec = replace(cell_spec, weights=replace(cell_spec.weights, **narrow))
    cell = CELLS[cell_spec.kind]
    widths = cell.widths(cell_spec)
    assert tuple(widths) == cell.states
    before = {name: np.zeros((3, width), np.float32) for name, width in widths.items()}
    x = np.ones((3, 2, cell_spec.input_size), np.float32)
    state, gates = cell.step(cell_spec, cell.project(cell_spec, x)[:, 0], before)
    assert (tuple(state), tuple(gates)) == (cell.states, cell.gates)
    assert {name: array.shape for name, array in state.items()} == {
        name: (3, width) for name, width in widths.items()
    }
    assert {array.shape for array in gates.values()} <= {(3, cell_spec.num_units)}
    assert {array.dtype for array in (*state.values(), *gates.values())} == {np.dtype(np.float32)}
    assert [name for name, _ in cell_spec.options.items()]
