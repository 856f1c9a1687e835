"""Layers of every cell and of most options, for tests of what runs them."""

from __future__ import annotations

import numpy as np
from lstm_cases import make_layer

from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.cells import CELLS
from rnnscope.model.cells.coupled_lstm import CoupledLSTMOptions, CoupledLSTMWeights
from rnnscope.model.cells.gru import GRUOptions, GRUWeights
from rnnscope.model.cells.layer_norm_lstm import LayerNormLSTMOptions, LayerNormLSTMWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.recurrent_layer import RecurrentLayer

SQUASHED = {"activation": "tanh", "recurrent_activation": "sigmoid"}


def options_of(kind, **values):
    return kind(**{name: Option(value, "graph") for name, value in values.items()})


def lstm(draw, features, units, *, dtype, **values):
    rng = np.random.default_rng(int(abs(draw(1)[0]) * 1e6))
    return make_layer(rng, features, units, dtype=dtype, **values).cell


def gru(draw, features, units, *, dtype, reset_after=False, recurrent_bias=False, **values):
    weights = GRUWeights(
        draw(features, 3 * units),
        draw(units, 3 * units),
        draw(3 * units),
        draw(3 * units) if recurrent_bias else None,
    )
    options = options_of(GRUOptions, reset_after=reset_after, **{**SQUASHED, **values})
    return CellSpec("gru", "GRU", weights, options, (), "r z n")


def simple_rnn(draw, features, units, *, dtype, activation="tanh", **values):
    weights = SimpleRNNWeights(draw(features, units), draw(units, units), draw(units))
    options = options_of(SimpleRNNOptions, activation=activation, **values)
    return CellSpec("simple_rnn", "RNN", weights, options, (), "")


def layer_norm_lstm(draw, features, units, *, dtype, forget_bias=1.0, **values):
    one = np.ones(1, dtype)
    weights = LayerNormLSTMWeights(
        draw(features, 4 * units), draw(units, 4 * units), one + draw(4 * units), draw(4 * units),
        one + draw(units), draw(units),
    )  # fmt: skip
    chosen = {**SQUASHED, "epsilon": 1e-3, **values}
    options = options_of(LayerNormLSTMOptions, forget_bias=forget_bias, **chosen)
    return CellSpec("layer_norm_lstm", "LayerNorm", weights, options, (), "i f g o")


def coupled_lstm(
    draw, features, units, *, dtype, proj=None, peepholes=False, proj_clip=None, **values
):
    output = proj or units
    weights = CoupledLSTMWeights(
        draw(features, 3 * units), draw(output, 3 * units), draw(3 * units),
        draw(units) if peepholes else None, draw(units) if peepholes else None,
        draw(units, proj) if proj else None,
    )  # fmt: skip
    chosen = {**SQUASHED, "forget_bias": 1.0, "proj_clip": proj_clip, **values}
    return CellSpec(
        "coupled_lstm", "CIFG", weights, options_of(CoupledLSTMOptions, **chosen), (), "f g o"
    )


CASES = {
    "lstm": (lstm, {}),
    "lstm, forget bias": (lstm, {"forget_bias": 1.0}),
    "lstm, peepholes": (lstm, {"peepholes": True}),
    "lstm, projection": (lstm, {"proj": 3}),
    "lstm, wide projection": (lstm, {"proj": 40}),
    "lstm, everything": (lstm, {"peepholes": True, "proj": 3, "cell_clip": 0.3, "proj_clip": 0.05,
                                "forget_bias": 0.7, "gate_clip": 0.4}),
    "lstm, coupled": (lstm, {"coupled": True, "peepholes": True}),
    "lstm, clipped gates": (lstm, {"gate_clip": 0.3}),
    "lstm, hard sigmoid": (lstm, {"recurrent_activation": "hard_sigmoid"}),
    "lstm, relu": (lstm, {"activation": "relu", "output_activation": "relu"}),
    "gru, reset before": (gru, {}),
    "gru, reset after": (gru, {"reset_after": True}),
    "gru, reset before, two biases": (gru, {"recurrent_bias": True}),
    "gru, reset after, two biases": (gru, {"reset_after": True, "recurrent_bias": True}),
    "gru, clipped": (gru, {"gate_clip": 0.3, "reset_after": True}),
    "gru, clipped before": (gru, {"gate_clip": 0.3, "recurrent_activation": "hard_sigmoid"}),
    "rnn": (simple_rnn, {}),
    "rnn, relu": (simple_rnn, {"activation": "relu"}),
    "rnn, clipped": (simple_rnn, {"gate_clip": 0.3}),
    "layer norm": (layer_norm_lstm, {}),
    "layer norm, relu": (layer_norm_lstm, {"activation": "relu", "forget_bias": 0.0}),
    "coupled": (coupled_lstm, {}),
    "coupled, everything": (coupled_lstm, {"peepholes": True, "proj": 5, "proj_clip": 0.05}),
}  # fmt: skip
"""What makes a cell, and its options."""


def layer_with(
    cell, *, padding="zeros", backward=False, reversal="whole", in_input_order=True, wrapper=()
):
    """A layer of a cell, all of its options as if read from a graph."""
    return RecurrentLayer(
        cell=cell,
        backward=Option(backward, "graph"),
        padding=Option(padding, "graph"),
        lengths=Option(LENGTHS_UNUSED, "graph"),
        initial_state=Option(ZERO_STATE, "graph"),
        state_format=Option("", "graph"),
        reversal=reversal,
        outputs_in_input_order=in_input_order,
        wrapper=wrapper,
    )


def cell_of(rng, name, features, units, dtype="float32", **more):
    """The cell of a case, weights uniform within ±1/sqrt(units)."""
    make, values = CASES[name]
    most = 1 / np.sqrt(units)

    def draw(*shape):
        return rng.uniform(-most, most, shape).astype(dtype)

    return make(draw, features, units, dtype=dtype, **{**values, **more})


def states_for(rng, cell, sequences):
    """A state to begin with."""
    return {
        name: rng.uniform(-0.5, 0.5, (sequences, width)).astype(cell.dtype)
        for name, width in CELLS[cell.kind].widths(cell).items()
    }
