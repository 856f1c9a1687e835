"""LSTM layers of every kind, for tests of what runs them."""

from __future__ import annotations

import numpy as np

from rnnscope.engines.compiled import PackedCell
from rnnscope.engines.fast_engine import run_fast
from rnnscope.engines.lstm import FoldedLSTM
from rnnscope.model.cell import CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LENGTHS_UNUSED
from rnnscope.model.recurrent_layer import RecurrentLayer

CELLS = {
    "plain": {},
    "float64": {"dtype": "float64"},
    "forget bias": {"forget_bias": 1.0},
    "peepholes": {"peepholes": True},
    "projection": {"proj": 3},
    "clips": {"cell_clip": 0.3, "proj": 3, "proj_clip": 0.05},
    "clip of c": {"cell_clip": 0.3},
    "everything": {"peepholes": True, "proj": 3, "cell_clip": 0.3, "proj_clip": 0.05,
                   "forget_bias": 0.7},
    "relu": {"activation": "relu", "output_activation": "relu"},
    "hard sigmoid": {"recurrent_activation": "hard_sigmoid"},
    "hard sigmoid, peepholes": {"recurrent_activation": "hard_sigmoid_keras3", "peepholes": True},
    "linear output": {"output_activation": "linear"},
}  # fmt: skip

DIRECTIONS = {
    "forward": {},
    "backward whole": {"backward": True},
    "backward within length": {"backward": True, "reversal": "within length"},
    "backward, outputs as processed": {"backward": True, "in_input_order": False},
}


def make_layer(
    rng, features, units, *, dtype="float32", proj=None, peepholes=False, padding="zeros",
    backward=False, reversal="whole", in_input_order=True, **values,
):  # fmt: skip
    """A layer with weights uniform within ±1/sqrt(units), about as trained ones are."""
    most = 1 / np.sqrt(units)

    def draw(*shape):
        return rng.uniform(-most, most, shape).astype(dtype)

    diagonals = {f"peephole_{gate}": draw(units) for gate in "ifo"} if peepholes else {}
    settings = {
        "forget_bias": 0.0,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "output_activation": "tanh",
        "cell_clip": None,
        "proj_clip": None,
        **values,
    }
    weights = LSTMWeights(
        draw(features, 4 * units),
        draw(proj or units, 4 * units),
        draw(4 * units),
        projection=draw(units, proj) if proj else None,
        **diagonals,
    )
    return layer_of(
        weights, settings, padding=padding, backward=backward, reversal=reversal,
        in_input_order=in_input_order, gate_order="i f g o",
    )  # fmt: skip


def layer_of(
    weights, settings, *, padding="zeros", backward=False, reversal="whole", in_input_order=True,
    source_class="LSTMCell", gate_order="i g f o",
):  # fmt: skip
    """A layer of some weights, all of its options as if read from a graph."""
    cell = CellSpec(
        kind="lstm",
        source_class=source_class,
        from_keras=source_class.startswith("keras"),
        weights=weights,
        options=LSTMOptions(**{name: Option(value, "graph") for name, value in settings.items()}),
        variables=(),
        stored_gate_order=gate_order,
    )
    return RecurrentLayer(
        cell=cell,
        backward=Option(backward, "graph"),
        padding=Option(padding, "graph"),
        lengths=Option(LENGTHS_UNUSED, "graph"),
        initial_state=Option(ZERO_STATE, "graph"),
        state_format=Option("", "graph"),
        reversal=reversal,
        outputs_in_input_order=in_input_order,
    )


def run_lstm(layer, x, lengths=None, initial=None, *, steps="numpy", gates=False, **how):
    """A layer by the fast engine, in numpy or compiled."""
    prepared = FoldedLSTM(layer.cell) if steps == "numpy" else PackedCell(layer.cell, gates)
    return run_fast(layer, x, lengths, initial, prepared=prepared, gates=gates, **how)


def make_input(rng, layer, sequences, timesteps):
    shape = (sequences, timesteps, layer.cell.input_size)
    return rng.standard_normal(shape).astype(layer.cell.dtype)


def make_initial(rng, layer, sequences):
    cell = layer.cell
    widths = {"c": cell.num_units, "m": cell.output_size}
    return {
        name: rng.uniform(-0.5, 0.5, (sequences, width)).astype(cell.dtype)
        for name, width in widths.items()
    }
