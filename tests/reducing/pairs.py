"""Pairs that differ in a known way: a trace of a small layer, and somebody's arrays beside it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

import rnnscope

SEQUENCES, STEPS, INPUTS, UNITS = 3, 7, 3, 5
LENGTHS = (7, 4, 6)
BLOCKS = {"lstm": 4, "gru": 3, "rnn": 1}


class Pair(NamedTuple):
    """A trace, and its states by name."""

    trace: Path
    states: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    x: np.ndarray


def torch_weights(kind, seed=0, dtype=np.float64, inputs=INPUTS, units=UNITS):
    """Random weights by torch's names."""
    rng = np.random.default_rng(seed)
    wide = BLOCKS[kind] * units
    shapes = {
        f"{kind}.weight_ih_l0": (wide, inputs),
        f"{kind}.weight_hh_l0": (wide, units),
        f"{kind}.bias_ih_l0": (wide,),
        f"{kind}.bias_hh_l0": (wide,),
    }
    return {name: rng.normal(scale=0.7, size=shape).astype(dtype) for name, shape in shapes.items()}


def traced(folder, kind="lstm", *, lengths=LENGTHS, weights=None, name="ours", **options):
    """A run of such a layer over random input, as a file, and what it holds."""
    weights = torch_weights(kind) if weights is None else weights
    model, x_file, trace = (folder / f"{name}{end}" for end in (".npz", "_x.npz", ".h5"))
    np.savez(model, **weights)
    dtype = next(iter(weights.values())).dtype
    inputs = next(iter(weights.values())).shape[1]
    x = np.random.default_rng(7).normal(size=(SEQUENCES, STEPS, inputs)).astype(dtype)
    extra = {} if lengths is None else {"lengths": np.array(lengths)}
    np.savez(x_file, x=x, **extra)
    rnnscope.run(model, x_file, layout="torch", output=trace, **options).close()
    return Pair(trace, states_of(trace), weights, x)


def states_of(trace):
    """The states of a trace's only layer, by name."""
    with rnnscope.open_trace(trace) as opened:
        (layer,) = opened.layers.values()
        names = [name for name in ("c", "m") if name in {*layer.final}]
        found = {name: np.array(getattr(layer, name)) for name in names}
        found |= {f"final/{name}": np.array(layer.final[name]) for name in names}
    return found


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_step(x, c, m, kernel, recurrent, bias):
    """One step of an LSTM, gates i f g o: the tests' own."""
    i, f, g, o = np.split(x @ kernel + m @ recurrent + bias, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def read_case(path):
    with np.load(path, allow_pickle=False) as file:
        return dict(file)
