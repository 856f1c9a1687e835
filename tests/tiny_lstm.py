"""A plain LSTM, one step and one sequence at a time, to make slices for the checks.

It shares no code with the engine: what it does past the length is spelled out from the padding
table, so that checks and engine cannot be wrong together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnscope.checks.interface import CheckContext, CheckedSlice, GoldenDiff
from rnnscope.comparing.result import ArrayDiff, Divergence, LayerDiff
from rnnscope.model.states import LayerFacts, LayerStates
from rnnscope.model.verification import KernelDifference

UNITS, FEATURES = 3, 2


def _sigmoid(z):
    return (0.5 + 0.5 * np.tanh(z / 2)).astype(z.dtype)


def _order(timesteps, end, backward, whole):
    """The timesteps in the order in which the layer takes them."""
    if not backward:
        return list(range(timesteps))
    if whole:
        return list(range(timesteps))[::-1]
    return list(range(end))[::-1] + list(range(end, timesteps))


def make_slice(
    facts, mask=None, *, sequences=3, timesteps=5, lengths=None, input_steps=None, scale=1
):
    """A good slice: a small random LSTM run by the rules in `facts`; `scale` is of its weights."""
    rng = np.random.default_rng(7)
    if lengths is not None:
        lengths = np.asarray(lengths)
        mask = np.arange(timesteps) < lengths[:, None]
    if mask is not None:
        mask = np.asarray(mask, bool)
        sequences, timesteps = mask.shape
    kernel = scale * rng.normal(size=(FEATURES + UNITS, 4 * UNITS)).astype(np.float32)
    bias = scale * rng.normal(size=4 * UNITS).astype(np.float32)
    x = rng.normal(size=(sequences, timesteps, FEATURES)).astype(np.float32)
    shape = (sequences, timesteps, UNITS)
    arrays = {name: np.zeros(shape, np.float32) for name in ("c", "m", "outputs", *"ifgo")}
    initial = {name: rng.uniform(-0.5, 0.5, (sequences, UNITS)).astype(np.float32) for name in "cm"}
    final = {name: np.zeros((sequences, UNITS), np.float32) for name in "cm"}
    for n in range(sequences):
        c, m, output = initial["c"][n], initial["m"][n], np.zeros(UNITS, np.float32)
        end = timesteps if mask is None else max(np.flatnonzero(mask[n]) + 1, default=0)
        whole = facts.reversal == "whole" or facts.padding == "none"
        for place, t in enumerate(_order(timesteps, end, facts.backward, whole)):
            valid = mask is None or mask[n, t] or facts.padding == "none"
            z = np.concatenate([x[n, t], m]) @ kernel + bias
            i, f, g, o = np.split(z, 4)
            i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
            if valid:
                c = f * c + i * g
                m = o * np.tanh(c)
                output = m
            elif facts.padding == "zeros":
                output = np.zeros(UNITS, np.float32)
            where = t if facts.outputs_in_input_order else place
            for name, value in zip(("c", "m", *"ifgo"), (c, m, i, f, g, o), strict=True):
                arrays[name][n, t] = value
            arrays["outputs"][n, where] = output
        final["c"][n], final["m"][n] = c, m
    states = LayerStates(
        states={name: arrays[name] for name in "cm"},
        outputs=arrays["outputs"],
        initial=initial,
        final=final,
        gates={name: arrays[name] for name in "ifgo"},
    )
    if input_steps is None:
        input_steps = np.full(sequences, timesteps) if lengths is None else lengths
    return CheckedSlice(facts, states, lengths, mask, np.asarray(input_steps))


def facts(**changes):
    return replace(LayerFacts("rnn/lstm_cell", m_bound=1.0), **changes)


def damage(layer, array, value, *index):
    """A copy of the slice in which one value of one array is another."""
    states = layer.states
    copied = LayerStates(
        states={name: values.copy() for name, values in states.states.items()},
        outputs=states.outputs.copy(),
        initial={name: values.copy() for name, values in states.initial.items()},
        final={name: values.copy() for name, values in states.final.items()},
        gates={name: values.copy() for name, values in states.gates.items()},
    )
    group, _, name = array.partition(".")
    target = getattr(copied, group)
    (target[name] if name else target)[index] = value
    return replace(layer, states=copied)


OPTIONS = {"activation": "tanh", "recurrent_activation": "sigmoid", "cell_clip": None}


def in_trace(layer, **changes):
    """The slice as a trace gives it, beside copies of itself that agree in every way."""
    states = layer.states
    wide = LayerStates(
        {name: values.astype(np.float64) for name, values in states.states.items()},
        states.outputs, states.initial, states.final,
    )  # fmt: skip
    known = CheckContext(
        options=OPTIONS,
        mask_given=True,
        alone=damage(layer, "final.c", 0, 0).states,
        wide=wide,
        origin={name: values.copy() for name, values in states.initial.items()},
        verified=(
            KernelDifference(layer.facts.name, "c", 1e-8, 1e-5, ok=True, kernel="BlockLSTM"),
        ),
        golden=golden(layer),
    )
    return replace(layer, context=replace(known, **changes))


def golden(layer, first=None):
    """The layer compared with a stored trace; they differ at `first`."""
    differs = {"max_abs": 0.5, "exceed": 2, "tolerance": "exact"} if first else {}
    array = ArrayDiff(
        "c", "differ" if first else "same", ("sequence", "timestep", "unit"), (3, 5, 3), (3, 5, 3),
        "float32", "float32", first=Divergence(first, 0.25, 0.75) if first else None, **differs,
    )  # fmt: skip
    return GoldenDiff(LayerDiff(layer.facts.name, layer.facts.name, "by name", (array,)))
