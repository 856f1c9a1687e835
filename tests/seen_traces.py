"""Small traces with known numbers, for tests of what shows states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnscope.model.states import LayerFacts, LayerStates
from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter, parse_selection

GATES = ("i", "f", "g", "o")


def waves(sequences=3, timesteps=12, units=6, seed=0):
    """c, m and gates that swing, each unit at its own pace and size; all of them float32."""
    draw = np.random.default_rng(seed)
    time = np.arange(timesteps)[None, :, None]
    pace = 0.2 + 0.15 * np.arange(units)
    phase = draw.uniform(0, 6, (sequences, 1, units))
    c = (np.sin(pace * time + phase) * (0.3 + 0.2 * np.arange(units))).astype(np.float32)
    gates = {
        gate: (0.5 + 0.5 * np.sin(pace * time + phase + turn)).astype(np.float32)
        for turn, gate in enumerate(GATES)
    }
    gates["g"] = np.tanh(c).astype(np.float32)
    return {"c": c, "m": (gates["o"] * np.tanh(c)).astype(np.float32)} | gates


def write_trace(
    path, arrays=None, *, lengths=None, mask=None, layer="rnn/lstm", selection=(), header=None,
    facts=None, ragged=None, options=None, **changes,
):  # fmt: skip
    """A trace of one layer with these arrays (sequence, timestep, unit); `waves` if none.

    `facts` and `changes` replace fields of the layer's facts and header.
    """
    arrays = waves() if arrays is None else arrays
    states = {name: arrays[name] for name in ("c", "m") if name in arrays}
    gates = {name: arrays[name] for name in GATES if name in arrays}
    outputs = arrays.get("outputs", states.get("m"))
    sequences, timesteps, width = outputs.shape
    known = LayerFacts(layer, m_bound=1.0, padding="zeros")
    head = LayerHeader(
        layer,
        width,
        {name: array.shape[2] for name, array in states.items()},
        dtype=str(outputs.dtype),
        gates=tuple(gates),
        facts=replace(known, **(facts or {})),
        options=options or {"forget_bias": (1.0, "graph"), "cell_clip": (None, "class default")},
        source_class="LSTMCell",
        outputs_are_m="outputs" not in arrays and "m" in states,
        reads_input=True,
    )
    head = replace(head, **changes)
    rows = slice(0, sequences)
    with TraceWriter(
        Path(path), header or TraceHeader(checkpoint="model.ckpt", input="x.npz"), [head],
        sequences, timesteps, has_lengths=lengths is not None, has_mask=mask is not None,
        selection=parse_selection(selection), ragged=ragged,
    ) as writer:  # fmt: skip
        steps = np.full(sequences, timesteps) if lengths is None else np.asarray(lengths)
        given = None if mask is None else np.asarray(mask, bool)
        writer.write_common(rows, steps if lengths is not None else None, given, steps)
        ends = {name: array[:, -1] for name, array in states.items()}
        if states:
            writer.write_layer(layer, LayerStates(states, outputs, ends, ends, gates), rows)
        else:
            writer.write_outputs(layer, outputs, rows)
    return Path(path)
