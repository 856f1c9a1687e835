"""Cells of several features, units and sequences against sums written out one number at a time.

A cell of one unit cannot tell a matrix product from any other, nor one axis from another.
"""

from __future__ import annotations

from math import exp, tanh

import numpy as np
import pytest

from rnnscope.model.cell import GATE_ORDER, CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.cells import CELLS
from rnnscope.model.cells.coupled_lstm import CoupledLSTMOptions, CoupledLSTMWeights
from rnnscope.model.cells.gru import GRUOptions, GRUWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights

SEQUENCES, FEATURES, UNITS, OUTPUT = 3, 4, 2, 5
RNG = np.random.default_rng(7)
X = RNG.normal(size=(SEQUENCES, FEATURES))
C = RNG.normal(size=(SEQUENCES, UNITS))


def sigmoid(z):
    return 1 / (1 + exp(-z))


def chosen(kind, **values):
    return kind(**{name: Option(value, "graph") for name, value in values.items()})


def product(row, matrix, column):
    """One number of a product."""
    return sum(row[k] * matrix[k, column] for k in range(len(row)))


def step(kind, weights, options, m):
    cell, spec = CELLS[kind], CellSpec(kind, "a class", weights, options, (), "")
    start = {name: {"c": C, "m": m}[name] for name in cell.states}
    state, gates = cell.step(spec, cell.project(spec, X), start)
    return {**state, **gates}


def numbers(gates, output):
    """Kernel, recurrent kernel and bias of a cell with so many gates."""
    return (
        RNG.normal(size=(FEATURES, gates * UNITS)), RNG.normal(size=(output, gates * UNITS)),
        RNG.normal(size=gates * UNITS),
    )  # fmt: skip


def matches(found, wanted):
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("proj_clip", [None, 0.3])
def test_an_lstm(projected, proj_clip):
    output = OUTPUT if projected else UNITS
    kernel, recurrent, bias = numbers(4, output)
    m = RNG.normal(size=(SEQUENCES, output))
    peep = {gate: RNG.normal(size=UNITS) for gate in "ifo"}
    projection = RNG.normal(size=(UNITS, OUTPUT)) if projected else None
    weights = LSTMWeights(
        kernel, recurrent, bias, projection=projection,
        **{f"peephole_{gate}": values for gate, values in peep.items()},
    )  # fmt: skip
    options = chosen(
        LSTMOptions, forget_bias=0.7, activation="tanh", recurrent_activation="sigmoid",
        output_activation="tanh", cell_clip=None, proj_clip=proj_clip,
    )  # fmt: skip
    found = step("lstm", weights, options, m)

    c, inner = np.zeros((SEQUENCES, UNITS)), np.zeros((SEQUENCES, UNITS))
    for s in range(SEQUENCES):
        for u in range(UNITS):
            z = {
                gate: product(X[s], kernel, n * UNITS + u)
                + product(m[s], recurrent, n * UNITS + u)
                + bias[n * UNITS + u]
                for n, gate in enumerate(GATE_ORDER)
            }
            i = sigmoid(z["i"] + peep["i"][u] * C[s, u])
            f = sigmoid(z["f"] + 0.7 + peep["f"][u] * C[s, u])
            c[s, u] = f * C[s, u] + i * tanh(z["g"])
            inner[s, u] = sigmoid(z["o"] + peep["o"][u] * c[s, u]) * tanh(c[s, u])
    matches(found["c"], c)
    if not projected:
        matches(found["m"], inner)  # a clip is one of the projection
        return
    wanted = np.array([[product(inner[s], projection, k) for k in range(OUTPUT)]
                       for s in range(SEQUENCES)])  # fmt: skip
    assert abs(wanted).max() > 0.3
    matches(found["m"], wanted if proj_clip is None else np.clip(wanted, -proj_clip, proj_clip))


@pytest.mark.parametrize("after", [True, False])
def test_a_gru(after):
    kernel, recurrent, bias = numbers(3, UNITS)
    m, more = RNG.normal(size=(SEQUENCES, UNITS)), RNG.normal(size=3 * UNITS)
    options = chosen(
        GRUOptions, activation="tanh", recurrent_activation="sigmoid", reset_after=after
    )
    found = step("gru", GRUWeights(kernel, recurrent, bias, more), options, m)
    gates = np.zeros((2, SEQUENCES, UNITS))
    for s in range(SEQUENCES):
        for n in range(2):
            for u in range(UNITS):
                k = n * UNITS + u
                z = product(X[s], kernel, k) + product(m[s], recurrent, k) + bias[k] + more[k]
                gates[n, s, u] = sigmoid(z)
    r, z = gates
    wanted = np.zeros((SEQUENCES, UNITS))
    for s in range(SEQUENCES):
        for u in range(UNITS):
            k = 2 * UNITS + u
            inside = product(m[s] if after else r[s] * m[s], recurrent, k) + more[k]
            if after:
                inside *= r[s, u]
            n = tanh(product(X[s], kernel, k) + bias[k] + inside)
            wanted[s, u] = z[s, u] * m[s, u] + (1 - z[s, u]) * n
    matches(found["r"], r)
    matches(found["z"], z)
    matches(found["m"], wanted)


def test_a_simple_cell():
    kernel, recurrent, bias = numbers(1, UNITS)
    m = RNG.normal(size=(SEQUENCES, UNITS))
    options = chosen(SimpleRNNOptions, activation="tanh")
    found = step("simple_rnn", SimpleRNNWeights(kernel, recurrent, bias), options, m)
    wanted = np.array([
        [tanh(product(X[s], kernel, u) + product(m[s], recurrent, u) + bias[u])
         for u in range(UNITS)]
        for s in range(SEQUENCES)
    ])  # fmt: skip
    matches(found["m"], wanted)


@pytest.mark.parametrize("proj_clip", [None, 0.3])
def test_a_coupled_lstm(proj_clip):
    kernel, recurrent, bias = numbers(3, OUTPUT)
    m, projection = RNG.normal(size=(SEQUENCES, OUTPUT)), RNG.normal(size=(UNITS, OUTPUT))
    weights = CoupledLSTMWeights(kernel, recurrent, bias, projection=projection)
    options = chosen(
        CoupledLSTMOptions, forget_bias=0.7, activation="tanh",
        recurrent_activation="sigmoid", proj_clip=proj_clip,
    )  # fmt: skip
    found = step("coupled_lstm", weights, options, m)
    c, inner = np.zeros((SEQUENCES, UNITS)), np.zeros((SEQUENCES, UNITS))
    for s in range(SEQUENCES):
        for u in range(UNITS):
            f, g, o = (
                product(X[s], kernel, k) + product(m[s], recurrent, k) + bias[k]
                for k in (u, UNITS + u, 2 * UNITS + u)
            )
            f = sigmoid(f + 0.7)
            c[s, u] = f * C[s, u] + (1 - f) * tanh(g)
            inner[s, u] = sigmoid(o) * tanh(c[s, u])
    wanted = np.array([[product(inner[s], projection, k) for k in range(OUTPUT)]
                       for s in range(SEQUENCES)])  # fmt: skip
    matches(found["c"], c)
    matches(found["m"], wanted if proj_clip is None else np.clip(wanted, -proj_clip, proj_clip))


@pytest.mark.parametrize("leading", [(), (6,), (2, 3)])
def test_any_number_of_axes_is_projected(leading):
    kernel, recurrent, bias = numbers(4, UNITS)
    options = chosen(
        LSTMOptions, forget_bias=0.0, activation="tanh", recurrent_activation="sigmoid",
        output_activation="tanh", cell_clip=None, proj_clip=None,
    )  # fmt: skip
    spec = CellSpec("lstm", "a class", LSTMWeights(kernel, recurrent, bias), options, (), "")
    x = RNG.normal(size=(*leading, FEATURES))
    found = CELLS["lstm"].project(spec, x)
    assert found.shape == (*leading, 4 * UNITS)
    for place in np.ndindex(*leading):
        row = [product(x[place], kernel, k) + bias[k] for k in range(4 * UNITS)]
        matches(found[place], np.array(row))


@pytest.mark.parametrize(
    ("output", "gate", "cell_clip", "bound"),
    [
        ("tanh", "sigmoid", None, 1), ("tanh", "sigmoid", 0.5, 1), ("tanh", "linear", None, None),
        ("relu", "sigmoid", None, None), ("relu", "sigmoid", 0.5, 0.5),
        ("linear", "sigmoid", 0.5, 0.5), ("linear", "sigmoid", None, None),
        ("softplus", "sigmoid", 0.5, None),
    ],
)  # fmt: skip
def test_what_bounds_m(output, gate, cell_clip, bound):
    """A clip of c bounds m where the output activation hands it on, and nowhere else."""
    options = chosen(
        LSTMOptions, forget_bias=0.0, activation="tanh", recurrent_activation=gate,
        output_activation=output, cell_clip=cell_clip, proj_clip=None,
    )  # fmt: skip
    spec = CellSpec("lstm", "a class", LSTMWeights(*numbers(4, UNITS)), options, (), "")
    assert CELLS["lstm"].m_bound(spec) == bound


@pytest.mark.parametrize(
    ("activation", "gate", "projected", "proj_clip", "bound"),
    [
        ("tanh", "sigmoid", False, None, 1), ("tanh", "sigmoid", True, None, 5),
        ("tanh", "sigmoid", True, 0.3, 0.3), ("relu", "sigmoid", False, None, None),
        ("tanh", "linear", False, None, None), ("relu", "linear", True, None, None),
        ("relu", "sigmoid", True, 0.3, 0.3),
    ],
)  # fmt: skip
def test_what_bounds_m_of_a_coupled_lstm(activation, gate, projected, proj_clip, bound):
    """By a projection each m is a sum over the units: at most the largest sum of a column."""
    projection = np.array([[1.0, 2.0], [-1.0, -3.0]]) if projected else None
    output = 2 if projected else UNITS
    weights = CoupledLSTMWeights(*numbers(3, output), projection=projection)
    options = chosen(
        CoupledLSTMOptions, forget_bias=0.7, activation=activation,
        recurrent_activation=gate, proj_clip=proj_clip,
    )  # fmt: skip
    spec = CellSpec("coupled_lstm", "a class", weights, options, (), "")
    assert CELLS["coupled_lstm"].m_bound(spec) == bound


@pytest.mark.parametrize(
    ("weights", "output"),
    [
        (LSTMWeights(*numbers(4, UNITS)), UNITS), (GRUWeights(*numbers(3, UNITS)), UNITS),
        (SimpleRNNWeights(*numbers(1, UNITS)), UNITS),
        (CoupledLSTMWeights(*numbers(3, UNITS)), UNITS),
        (LSTMWeights(*numbers(4, OUTPUT), projection=np.zeros((UNITS, OUTPUT))), OUTPUT),
        (CoupledLSTMWeights(*numbers(3, OUTPUT), projection=np.zeros((UNITS, OUTPUT))), OUTPUT),
    ],
)  # fmt: skip
def test_sizes_are_told_by_the_weights(weights, output):
    assert (weights.input_size, weights.num_units, weights.output_size) == (FEATURES, UNITS, output)


@pytest.mark.parametrize("clip", [None, 0.0, 3.0])
@pytest.mark.parametrize("kind", ["gru", "simple"])
def test_a_clip_of_gates_is_listed_where_there_is_one(kind, clip):
    """The other options always are."""
    options = (
        chosen(GRUOptions, activation="tanh", recurrent_activation="sigmoid", reset_after=False,
               gate_clip=clip)
        if kind == "gru" else chosen(SimpleRNNOptions, activation="tanh", gate_clip=clip)
    )  # fmt: skip
    listed = {name: option.value for name, option in options.items()}
    assert listed.get("gate_clip") == (clip or None)
    assert ("gate_clip" in listed) == bool(clip)
    assert listed["activation"] == "tanh"
    assert len(listed) == (3 if kind == "gru" else 1) + bool(clip)
