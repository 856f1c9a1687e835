"""Recurrent networks one step of one sequence at a time, with every confusion as a parameter.

It is the judge of ``rnnscope explain`` and shares no code with rnnscope: plain numpy in float64,
one gate at a time, weights as a file stores them. `run` gives what somebody else's code would
compute who has confused what ``made`` says, by the ids and words of the explanations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from explaining.misread_input import fed_input
from explaining.misread_weights import other_levels, other_variables
from explaining.network_description import ACTIVATIONS, Array, Cell, Made, Model, rounded


@dataclass
class Layer:
    """What a cell computed: arrays (sequence, timestep, unit), final ones (sequence, unit)."""

    c: Array
    m: Array
    outputs: Array
    final_c: Array
    final_m: Array
    order: Array
    """(sequence, timestep): the timestep that was taken in each place."""


class States(NamedTuple):
    """Levels of layers; the outputs of the last level, merged; what the dense layer makes of them.

    ``outputs`` (sequence, timestep, unit); ``last`` (sequence, unit), the final m of the last
    level; ``dense`` and ``last_dense`` of each, None without one.
    """

    levels: list[list[Layer]]
    outputs: Array
    last: Array
    dense: Array | None
    last_dense: Array | None
    logits: Array | None


def run(model: Model, x: Array, lengths: Any = None, made: Made | None = None) -> States:
    """What code computes that has confused `made`.

    Parameters
    ----------
    model : Model
    x : ndarray (sequence, timestep, feature), or ids (sequence, timestep)
    lengths : sequence of int, optional
    made : mapping of str to str
    """
    made = made or {}
    model = other_variables(model, made)
    levels = other_levels(model, made)
    x, valid = fed_input(model, x, lengths, made)
    padding = {"held": "hold", "zeroed": "zeros"}.get(made.get("mask", ""), model.padding)
    layers: list[list[Layer]] = []
    for level in levels:
        layers.append([_layer(cell, x, valid, padding, made) for cell in level])
        x = np.concatenate([layer.outputs for layer in layers[-1]], axis=-1)
    return _report(model, layers, made)


def _layer(cell: Cell, x: Array, valid: Array, padding: str, made: Made) -> Layer:
    batch, steps = valid.shape
    m_width = cell.units if made.get("projection") == "ignored" else cell.width
    made_arrays = {
        name: np.zeros((batch, steps, width))
        for name, width in (("c", cell.units), ("m", m_width), ("outputs", m_width))
    }
    final = {"c": np.zeros((batch, cell.units)), "m": np.zeros((batch, m_width))}
    order = np.tile(np.arange(steps), (batch, 1))
    state = _first_state(cell, made)
    for n in range(batch):
        if made.get("state-carry") != "kept from the sequence before":
            state = _first_state(cell, made)
        end = int(valid[n].sum())
        if cell.backward:
            order[n, :end] = np.arange(end)[::-1]
        output, shown = np.zeros(m_width), _shown(state, cell, made)
        for place, t in enumerate(order[n]):
            if valid[n, t]:
                state, shown = _step(cell, x[n, t], _carried(state, cell, place, made), made)
                output = shown
            elif padding == "zeros":
                output = np.zeros(m_width)
            made_arrays["c"][n, t], made_arrays["m"][n, t] = state[0], shown
            where = (
                t if cell.in_input_order and made.get("turned-outputs") != "not turned" else place
            )
            if made.get("turned-outputs") == "turned":
                where = t
            made_arrays["outputs"][n, where] = output
        final["c"][n], final["m"][n] = state[0], shown
    return Layer(
        made_arrays["c"], made_arrays["m"], made_arrays["outputs"], final["c"], final["m"], order
    )


def _first_state(cell: Cell, made: Made) -> tuple[Array, Array]:
    words = made.get("initial-state", "0")
    if words == "solved":
        rng = np.random.default_rng(99)
        return rng.normal(size=cell.units), rng.uniform(-0.9, 0.9, cell.width)
    value = 1.0 if words == "ones" else float(words)
    return np.full(cell.units, value), np.full(cell.width, value)


def _shown(state: tuple[Array, Array], cell: Cell, made: Made) -> Array:
    if made.get("projection") == "ignored":
        return np.zeros(cell.units)
    return state[1]


def _carried(state: tuple[Array, Array], cell: Cell, place: int, made: Made) -> tuple[Array, Array]:
    """The state that a step starts from."""
    how = made.get("state-carry")
    c, m = state
    if how is None or place == 0:
        return state
    if how == "c and m swapped":
        return m, c
    never = how == "never" or (how.startswith("reset every") and place % int(how.split()[2]) == 0)
    zero_c = never or how == "c never"
    zero_m = never or how == "m never"
    return (0 * c if zero_c else c), (0 * m if zero_m else m)


def _step(
    cell: Cell, x: Array, state: tuple[Array, Array], made: Made
) -> tuple[tuple[Array, Array], Array]:
    """The new (c, m), and the m that is shown."""
    c, m, shown = (_gru_step if cell.gru else _lstm_step)(cell, x, state, made)
    if "dtype" in made and made["dtype"].endswith("states"):
        kind = made["dtype"].split()[0]
        c, m, shown = (rounded(array, kind) for array in (c, m, shown))
    return (c, m), shown


def _lstm_step(
    cell: Cell, x: Array, state: tuple[Array, Array], made: Made
) -> tuple[Array, Array, Array]:
    c_before, m_before = state
    act, rec, out = (
        ACTIVATIONS[name]
        for name in (cell.activation, cell.recurrent_activation, cell.output_activation)
    )
    bias = cell.bias if cell.recurrent_bias is None else cell.bias + cell.recurrent_bias
    z = dict(
        zip(
            cell.order,
            np.split(x @ cell.kernel + m_before @ cell.recurrent + bias, 4),
            strict=True,
        )
    )
    z["f"] = z["f"] + cell.forget_bias
    peepholes = cell.peepholes or {}
    for gate in "if":
        if gate in peepholes:
            z[gate] = z[gate] + peepholes[gate] * c_before

    i = rec(_clipped(z["i"], cell.gate_clip))
    f = rec(_clipped(z["f"], cell.gate_clip))
    g = act(_clipped(z["g"], cell.gate_clip))
    unclipped = f * c_before + i * g
    c = _clipped(unclipped, cell.cell_clip)
    if "o" in peepholes:
        seen = {"o sees the unclipped c": unclipped, "o sees the previous c": c_before}
        z["o"] = z["o"] + peepholes["o"] * seen.get(made.get("peepholes", ""), c)
    o = rec(_clipped(z["o"], cell.gate_clip))
    m = o * out(c)
    shown = m
    if cell.projection is not None:
        m = _clipped(m @ cell.projection, cell.proj_clip)
        shown = shown if made.get("projection") == "ignored" else m
    return c, m, shown


def _gru_step(
    cell: Cell, x: Array, state: tuple[Array, Array], made: Made
) -> tuple[Array, Array, Array]:
    _, m_before = state
    act, rec = ACTIVATIONS[cell.activation], ACTIVATIONS[cell.recurrent_activation]
    zeros = np.zeros(3 * cell.units)
    bias = zeros if cell.recurrent_bias is None else cell.recurrent_bias
    of_x = dict(zip(cell.order, np.split(x @ cell.kernel + cell.bias, 3), strict=True))
    kernels = dict(zip(cell.order, np.split(cell.recurrent, 3, axis=1), strict=True))
    biases = dict(zip(cell.order, np.split(bias, 3), strict=True))

    r, z = (
        rec(_clipped(of_x[gate] + m_before @ kernels[gate] + biases[gate], cell.gate_clip))
        for gate in "rz"
    )
    if cell.reset_after:
        inner = of_x["n"] + r * (m_before @ kernels["n"] + biases["n"])
    else:
        inner = of_x["n"] + (r * m_before) @ kernels["n"] + biases["n"]
    n = act(_clipped(inner, cell.gate_clip))
    if made.get("update-gate") == "1 - z":
        z = 1 - z
    m = z * m_before + (1 - z) * n
    return m, m, m


def _clipped(value: Array, bound: float | None) -> Array:
    return value if bound is None else np.clip(value, -bound, bound)


# What is handed over.


def _report(model: Model, layers: list[list[Layer]], made: Made) -> States:
    for level in layers:
        for layer in level:
            _misreport(layer, made)
    outputs = np.concatenate([layer.outputs for layer in layers[-1]], axis=-1)
    last = np.concatenate([layer.final_m for layer in layers[-1]], axis=-1)
    if model.dense is None:
        return States(layers, outputs, last, None, None, None)
    kernel, bias, activation = model.dense
    function, logits = ACTIVATIONS[activation], outputs @ kernel + bias
    return States(layers, outputs, last, function(logits), function(last @ kernel + bias), logits)


def _misreport(layer: Layer, made: Made) -> None:
    if made.get("last-step") == "last of the array":
        layer.final_m = layer.outputs[:, -1].copy()
    if made.get("turned-outputs") == "not turned":
        for name in ("c", "m"):
            array = getattr(layer, name)
            setattr(layer, name, np.take_along_axis(array, layer.order[..., None], axis=1))
    words = made.get("shift", "")
    if words and "(x)" not in words:
        for name in ("c", "m", "outputs"):
            array = getattr(layer, name)
            moved = np.zeros_like(array)
            if "late" in words:
                moved[:, 1:] = array[:, :-1]
            else:
                moved[:, :-1] = array[:, 1:]
            setattr(layer, name, moved)
    if made.get("state-order") == "c and m swapped":
        layer.c, layer.m = layer.m, layer.c
        layer.final_c, layer.final_m = layer.final_m, layer.final_c
