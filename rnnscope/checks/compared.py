"""Checks against what is computed or stored elsewhere: alone, in float64, by another engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.checks import steps
from rnnscope.checks.interface import Check, CheckedSlice, Finding, StatePlace
from rnnscope.checks.measure import (
    Peak,
    blocks,
    differences,
    judge,
    largest_by_name,
    peak,
    rounding,
    skip,
)
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerStates

LEAK_ROUNDING = 256.0
"""As for another engine: a matrix product of one row sums in another order than that of many."""

DRIFT_ROUNDING = 1024.0
"""float32 against float64; cells that forget stay below a tenth of it over hundreds of steps."""


def _blocks(layer: CheckedSlice, other: LayerStates) -> Iterator[tuple[str, Array, Array, Array]]:
    """Name of a state, rows, times and |difference| (k, unit) at valid steps."""
    mask = steps.valid_steps(layer)
    rows, times = np.nonzero(np.ones(steps.shape(layer), bool) if mask is None else mask)
    for name, state in layer.states.states.items():
        theirs = other.states.get(name)
        if theirs is None:
            continue
        for part in blocks(len(rows), state.shape[-1]):
            row, time = rows[part], times[part]
            off = differences(state[row, time].astype(np.float64), theirs[row, time])
            yield name, row, time, off


def _largest(layer: CheckedSlice, other: LayerStates) -> tuple[Peak, str]:
    peaks = (
        (name, peak(off, layer, rows, times)) for name, rows, times, off in _blocks(layer, other)
    )
    return largest_by_name(peaks, next(iter(layer.states.states), "m"))


def _padding_leak(layer: CheckedSlice) -> Finding:
    check = "padding-leak"
    assert layer.context is not None
    assert layer.context.alone is not None
    if not layer.states.states:
        return skip(check, layer, "needs a state of every step")
    largest, worst = _largest(layer, layer.context.alone)
    messages = (
        "each sequence alone, without its padding, has the same states",
        f"{worst} of a sequence changes when it is computed alone, without its padding",
    )
    limit = rounding(check, layer, LEAK_ROUNDING, layer.states.states[worst])
    return judge(check, layer, largest, limit, messages)


def _drift(layer: CheckedSlice) -> Finding:
    check = "float-drift"
    assert layer.context is not None
    assert layer.context.wide is not None
    states = layer.states.states
    if not states:
        return skip(check, layer, "needs a state of every step")
    if all(state.dtype.itemsize >= 8 for state in states.values()):
        return skip(check, layer, "the layer is float64 itself")
    growth = np.zeros(steps.shape(layer)[1])
    peaks = []
    for name, rows, times, off in _blocks(layer, layer.context.wide):
        np.maximum.at(growth, times, np.nan_to_num(off.max(axis=1, initial=0), nan=np.inf))
        peaks.append((name, peak(off, layer, rows, times)))
    largest, worst = largest_by_name(peaks, next(iter(states)))
    words = _growth(growth[::-1] if layer.facts.backward else growth)
    messages = (
        f"float32 stays near float64: {words}",
        f"float32 drifts away from float64, most in {worst}: {words}",
    )
    limit = rounding(check, layer, DRIFT_ROUNDING, states[worst])
    return judge(check, layer, largest, limit, messages)


def _growth(by_step: Array) -> str:
    """How the difference grows over the first and the last quarter of the steps."""
    quarter = max(1, len(by_step) // 4)
    first, last = by_step[:quarter].max(initial=0), by_step[-quarter:].max(initial=0)
    return f"at most {first:.1e} in the first quarter of the steps, {last:.1e} in the last"


def _kernel(layer: CheckedSlice) -> Finding:
    check = "framework-kernel"
    assert layer.context is not None
    rows = [row for row in layer.context.verified or () if row.layer == layer.facts.name]
    if not rows:
        return skip(check, layer, "the other engine does not compute this layer")
    # A NaN is no match, and no number is larger.
    worst = max(rows, key=lambda row: (not row.ok, row.difference))
    status = "pass" if worst.ok else "fail"
    words = "is what" if worst.ok else "is not what"
    message = f"{worst.state} {words} {worst.kernel} computes"
    return Finding(check, layer.facts.name, "pass" if status == "pass" else "fail", message,
                   worst.difference, worst.limit)  # fmt: skip


def _golden(layer: CheckedSlice) -> Finding:
    check, name = "golden", layer.facts.name
    assert layer.context is not None
    golden = layer.context.golden
    assert golden is not None, "guarded by Check.requires"
    if golden.layer is None:
        return Finding(check, name, "fail", "the stored trace lacks this layer")
    if golden.differences:
        return Finding(check, name, "fail", "; ".join(golden.differences))
    differ = [array for array in golden.layer.arrays if array.verdict == "differ"]
    if not differ:
        largest = max((array.max_abs for array in golden.layer.arrays), default=0.0)
        words = ", ".join(array.name for array in golden.layer.arrays)
        if golden.layer.not_compared:
            words += f"; not compared: {', '.join(golden.layer.not_compared)}"
        return Finding(check, name, "pass", f"within the tolerance: {words}", largest)
    worst = differ[0]
    if worst.first is None:
        return Finding(check, name, "fail", f"{worst.name}: {'; '.join(worst.problems)}")
    where = worst.first.place
    place = StatePlace(where[0], where[1] if len(where) == 3 else None, where[-1])
    message = (
        f"{worst.name}: {worst.exceed} values beyond {worst.tolerance}; first {worst.first.a:.9g} "
        f"here, {worst.first.b:.9g} in the stored trace"
    )
    return Finding(check, name, "fail", message, worst.max_abs, place=place)


COMPARED_CHECKS = (
    Check(
        id="padding-leak",
        title="Each sequence alone, without padding, has the states it has in the batch",
        advice=(
            "Padding reaches the states: a layer without lengths reads it, backward layers first "
            "of all. Give {lengths} or {mask} to the run, or let the model mask."
        ),
        requires=("alone",),
        function=_padding_leak,
        during_run=False,
        limit=LEAK_ROUNDING,
        scaled=True,
    ),
    Check(
        id="float-drift",
        title="In float32 the states stay near a float64 recomputation",
        advice=(
            "Differences that grow with time mean a recurrence that amplifies rounding: compare "
            "engines over few steps, or convert the weights to float64."
        ),
        requires=("wide",),
        function=_drift,
        during_run=False,
        limit=DRIFT_ROUNDING,
        scaled=True,
    ),
    Check(
        id="framework-kernel",
        title="The states are what another engine's own kernel computes",
        advice=(
            "One of both reads the checkpoint otherwise: compare gate order, forget_bias and "
            "activations in {open_model(CHECKPOINT)}."
        ),
        requires=("verified",),
        function=_kernel,
        during_run=False,
    ),
    Check(
        id="golden",
        title="The states equal a stored trace within its tolerances",
        advice=(
            "{diff(A, B)} of both traces shows where they part; if the change is meant, store the "
            "new trace ({update_golden} of a suite)."
        ),
        requires=("golden",),
        function=_golden,
        during_run=False,
        at_end=True,
    ),
)
