"""Checks that read the gates: they must give the stored state, and not be stuck."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.checks import steps
from rnnscope.checks.interface import Check, CheckedSlice, Finding, StatePlace
from rnnscope.checks.measure import Peak, blocks, differences, judge, peak, rounding, skip, taste
from rnnscope.errors import spell
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array

ROUNDING = 64.0
"""Two products and a sum round three times; engines approximate tanh to a few units."""

SATURATED = 1e-3
MOST_SATURATED = 0.5

RULES = {
    "lstm": "f * c_prev + i * g",
    "coupled_lstm": "f * c_prev + (1 - f) * g",
    "gru": "z * m_prev + (1 - z) * n",
}
"""Kinds of cells whose next state follows from the gates alone."""

SIGMOID_GATES = ("i", "f", "o", "r", "z")


def _next(layer: CheckedSlice, rows: Array, times: Array, before: Array) -> Array:
    """The state (k, unit) that gates and the state before give, in float64."""
    gates = {name: array[rows, times].astype(np.float64)
             for name, array in layer.states.gates.items()}  # fmt: skip
    if layer.facts.cell == "gru":
        return gates["z"] * before + (1 - gates["z"]) * gates["n"]
    i = 1 - gates["f"] if layer.facts.cell == "coupled_lstm" else gates["i"]
    c: Array = gates["f"] * before + i * gates["g"]
    clip = layer.context.options.get("cell_clip") if layer.context else None
    return c if clip is None else np.clip(c, -float(clip), float(clip))


def _from_gates(check: str, layer: CheckedSlice, *, first: bool) -> Finding:
    """Compare the steps that follow the initial state, or all others."""
    rule = RULES.get(layer.facts.cell)
    if rule is None:
        return skip(check, layer, "the next state of this kind of cell is more than its gates")
    name = "m" if layer.facts.cell == "gru" else "c"
    state, largest, count = layer.states.states.get(name), Peak(), 0
    if state is None:
        return skip(check, layer, f"needs {name} of every step")
    initial = layer.states.initial.get(name)
    if first and initial is None:
        return skip(check, layer, f"needs the initial {name}")
    resets = steps.reset_steps(layer)
    for all_rows, all_times in _taken(layer):
        before_all = steps.step_before(layer, all_rows, all_times)
        again = np.zeros(len(all_rows), bool) if resets is None else resets[all_rows, all_times]
        chosen = ((before_all < 0) | again) == first
        rows, times, previous = all_rows[chosen], all_times[chosen], before_all[chosen]
        count += len(rows)
        before = initial[rows] if first and initial is not None else state[rows, previous]
        if layer.reset_state == "zeros":
            before = np.where(again[chosen][:, None], 0, before)
        expected = _next(layer, rows, times, before.astype(np.float64))
        largest |= peak(differences(state[rows, times], expected), layer, rows, times)
    if not count:
        return skip(check, layer, "no sequence has such a step")
    where = "the first step from the initial state" if first else "every step"
    if first and resets is not None:
        to = "zeros" if layer.reset_state == "zeros" else "it"
        where += f" and every one after a reset, which returns to {to}"
    messages = (f"{name} is {rule} at {where}", f"{name} is not {rule} at {where}")
    return judge(check, layer, largest, rounding(check, layer, ROUNDING, state), messages)


def _taken(layer: CheckedSlice) -> Iterator[tuple[Array, Array]]:
    """Rows and times of the steps that were computed, in blocks."""
    mask = steps.computed_steps(layer)
    shape = steps.shape(layer)
    rows, times = np.nonzero(np.ones(shape, bool) if mask is None else mask)
    width = next(iter(layer.states.gates.values())).shape[-1]
    for part in blocks(len(rows), 4 * width):
        yield rows[part], times[part]


def _initial_honoured(layer: CheckedSlice) -> Finding:
    return _from_gates("initial-state-honoured", layer, first=True)


def _state_from_gates(layer: CheckedSlice) -> Finding:
    return _from_gates("state-from-gates", layer, first=False)


def _saturation(layer: CheckedSlice) -> Finding:
    mask = steps.computed_steps(layer)
    largest, worst = Peak(), ""
    for name, gate in layer.states.gates.items():
        if name not in SIGMOID_GATES or not gate.size:
            continue
        near = (gate <= SATURATED) | (gate >= 1 - SATURATED)
        counts = np.full(len(gate), gate.shape[1]) if mask is None else mask.sum(axis=1)
        if mask is not None:
            near &= mask[:, :, None]
        # By sequence, so that slices of sequences merge to what the whole would say.
        share = near.sum(axis=(1, 2)) / np.maximum(counts * gate.shape[2], 1)
        row = int(share.argmax())
        here = Peak(float(share[row]), StatePlace(layer.first_sequence + row))
        if not worst or (largest | here) is not largest:
            largest, worst = here, name
    if not worst:
        return skip("saturation", layer, "the cell has no gates between 0 and 1")
    limit, bad = taste("saturation", layer, MOST_SATURATED)
    words = f"gate {worst} lies within {SATURATED:g} of 0 or 1 at {largest.value:.1%} of its values"
    messages = (f"in no sequence a larger share: {words}", f"in one sequence {words}")
    return judge("saturation", layer, largest, limit, messages, bad)


def _c_m_order(layer: CheckedSlice) -> Finding:
    check = "c-m-order"
    pair = _pair(layer)
    if pair is None:
        return skip(check, layer, "needs c and m, of every step or at the end")
    c, m = pair
    if c.shape != m.shape or (layer.context is not None and layer.context.projected):
        return skip(check, layer, "a projection stands between c and m")
    options = {} if layer.context is None else layer.context.options
    known = options.get("output_activation", options.get("activation"))
    act = "tanh" if known is None else str(known)
    gate = str(options.get("recurrent_activation", "sigmoid"))
    o = layer.states.gates.get("o") if len(c.shape) == 3 else None
    if o is None and "sigmoid" not in gate:
        return skip(
            check, layer, f"needs the gates ({spell('gates')}): o may be below 0 after {gate}"
        )
    largest = _beyond_o(layer, c, m, o, act)
    limit = rounding(check, layer, ROUNDING, m)
    rule = f"o * {act}(c)" if o is not None else f"between 0 and {act}(c)"
    wrong = f"m is not {rule}"
    if not largest.value <= limit and _beyond_o(layer, m, c, o, act).value <= limit:
        wrong += "; with c and m exchanged it is"
    if known is None:
        # Bare arrays do not tell; with another activation all may be well.
        messages = (f"m is {rule}", f"{wrong} (tanh is assumed)")
        return judge(check, layer, largest, limit, messages, bad="warn")
    return judge(check, layer, largest, limit, (f"m is {rule}", wrong))


def _pair(layer: CheckedSlice) -> tuple[Array, Array] | None:
    for group in (layer.states.states, layer.states.final):
        if "c" in group and "m" in group and group["c"].size:
            return group["c"], group["m"]
    return None


def _beyond_o(layer: CheckedSlice, c: Array, m: Array, o: Array | None, act: str) -> Peak:
    """How far m is from o * act(c); without o, how far beyond 0 … act(c)."""
    function = activation(act).function
    largest = Peak()
    mask = steps.computed_steps(layer) if len(c.shape) == 3 else None
    flat = np.ones(c.shape[:-1], bool) if mask is None else mask
    places = np.nonzero(flat)
    for part in blocks(len(places[0]), c.shape[-1]):
        at = tuple(axis[part] for axis in places)
        reached, here = function(c[at].astype(np.float64)), m[at].astype(np.float64)
        if o is not None:
            off = differences(here, o[at] * reached)
        else:
            with np.errstate(invalid="ignore"):
                within = np.maximum(np.abs(here) - np.abs(reached), 0)
                off = np.where(here * reached >= 0, within, np.abs(here))
        times = at[1] if len(at) == 2 else np.zeros_like(at[0])
        largest_here = peak(off, layer, at[0], times)
        largest |= largest_here.without_timestep() if len(at) == 1 else largest_here
    return largest


GATE_CHECKS = (
    Check(
        id="initial-state-honoured",
        title="The first step follows from the initial state and the gates",
        advice="The initial state did not reach the layer, or another one did (c and m swapped?).",
        requires=("gates", "initial"),
        function=_initial_honoured,
        during_run=False,
        limit=ROUNDING,
        scaled=True,
    ),
    Check(
        id="state-from-gates",
        title="Every step's state follows from its gates and the state before",
        advice=(
            "c = f * c_prev + i * g, clipped: look for gates in another order, a clip that the "
            "options do not tell, or steps in another order."
        ),
        requires=("gates",),
        function=_state_from_gates,
        during_run=False,
        limit=ROUNDING,
        scaled=True,
    ),
    Check(
        id="c-m-order",
        title="m is o * act(c): c and m are not swapped",
        advice=(
            "TensorFlow's tuple is (c, m), Keras and torch give (m, c) and call m h: look which of "
            "them wrote the state."
        ),
        requires=(),
        function=_c_m_order,
        during_run=False,
        limit=ROUNDING,
        scaled=True,
    ),
    Check(
        id="saturation",
        title="Gates are not stuck at 0 or 1 for most of a sequence",
        advice=(
            "A gate that is shut or open all the time gives no gradient: look at the scale of the "
            "inputs and at forget_bias."
        ),
        requires=("gates",),
        function=_saturation,
        during_run=False,
        limit=MOST_SATURATED,
    ),
)
