"""Clipped gates and the coupled forget gate, worked by hand on cells of one unit."""

from __future__ import annotations

from dataclasses import replace
from math import tanh

import numpy as np
import pytest

from rnnscope.model.cell import CellSpec, LSTMWeights, Option
from rnnscope.model.cells import CELLS
from rnnscope.model.cells.classes import CELL_CLASSES
from rnnscope.model.cells.gru import GRUOptions, GRUWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights

C, M = 0.5, -0.25


def sigmoid(z):
    return 0.5 * tanh(0.5 * z) + 0.5


def clip(z, bound):
    return max(-bound, min(bound, z))


def step(spec, x):
    cell = CELLS[spec.kind]
    state = {name: np.array([[{"c": C, "m": M}[name]]]) for name in cell.states}
    return cell.step(spec, cell.project(spec, np.array([[x]])), state)[0]


def lstm(**options):
    weights = LSTMWeights(
        kernel=np.array([[2.0, -1.0, 3.0, 0.5]]),
        recurrent_kernel=np.array([[1.0, 2.0, -1.0, 4.0]]),
        bias=np.array([0.1, 0.2, 0.3, 0.4]),
        peephole_f=np.array([3.0]),
    )
    plain = replace(CELL_CLASSES["CudnnCompatibleLSTMCell"].options(), **options)
    return CellSpec("lstm", "test", weights, plain, (), "i f g o")


@pytest.mark.parametrize("coupled", [False, True])
def test_an_lstm_clips_what_enters_the_gates_and_not_c(coupled):
    bound = 0.75
    spec = lstm(gate_clip=Option(bound, "graph"), coupled=Option(coupled, "graph"))
    made = step(spec, 1.0)
    i = sigmoid(clip(2.0 + M + 0.1, bound))
    f = 1 - i if coupled else sigmoid(clip(-1.0 + 2 * M + 0.2 + 3.0 * C, bound))
    g = tanh(clip(3.0 - M + 0.3, bound))
    o = sigmoid(clip(0.5 + 4 * M + 0.4, bound))
    c = f * C + i * g
    assert made["c"].item() == pytest.approx(c, abs=1e-15)
    assert made["m"].item() == pytest.approx(o * tanh(c), abs=1e-15)


def test_options_that_do_nothing_are_not_shown():
    names = [name for name, _ in lstm().options.items()]
    assert "gate_clip" not in names
    assert "coupled" not in names
    shown = dict(lstm(gate_clip=Option(1.0, "graph")).options.items())
    assert shown["gate_clip"].value == 1.0


@pytest.mark.parametrize("after", [False, True])
def test_a_gru_clips_all_three_gates(after):
    bound = 0.3
    weights = GRUWeights(
        np.array([[0.2, -1.0, 2.0]]), np.array([[1.0, 2.0, -3.0]]), np.array([0.1, 0.2, 0.3])
    )
    options = GRUOptions(
        Option("tanh", "graph"), Option("sigmoid", "graph"), Option(after, "graph"),
        Option(bound, "graph"),
    )  # fmt: skip
    made = step(CellSpec("gru", "test", weights, options, (), "r z n"), 1.0)
    r = sigmoid(clip(0.2 + M + 0.1, bound))
    z = sigmoid(clip(-1.0 + 2 * M + 0.2, bound))
    n = tanh(clip(2.0 + r * M * -3.0 + 0.3, bound))
    assert made["m"].item() == pytest.approx(z * M + (1 - z) * n, abs=1e-15)


def test_a_simple_cell_clips_its_sum():
    weights = SimpleRNNWeights(np.array([[2.0]]), np.array([[1.0]]), np.array([0.0]))
    options = SimpleRNNOptions(Option("tanh", "graph"), Option(0.5, "graph"))
    made = step(CellSpec("simple_rnn", "test", weights, options, (), "none"), -1.0)
    assert made["m"].item() == pytest.approx(tanh(-0.5), abs=1e-15)
