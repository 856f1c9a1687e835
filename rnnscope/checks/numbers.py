"""Checks of plain numbers: finite, and within what the activation allows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.checks import steps
from rnnscope.checks.interface import Check, CheckedSlice, Finding, StatePlace
from rnnscope.checks.measure import Peak, judge, peak, skip, taste
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerSlice


def _arrays(layer: CheckedSlice) -> Iterator[tuple[str, Array]]:
    yield from layer.states.states.items()
    if layer.states.outputs is not None:
        yield "outputs", layer.states.outputs
    yield from ((f"gate {name}", array) for name, array in layer.states.gates.items())


def _finite(layer: CheckedSlice) -> Finding:
    count = 0
    first: tuple[tuple[int, ...], str] | None = None
    arrays = [(name, array) for name, array in _arrays(layer) if array.size]
    if not arrays:
        return skip("finite", layer, "the layer holds no values")
    for name, array in arrays:
        with np.errstate(over="ignore", invalid="ignore"):
            # A finite sum has finite terms: one pass and no temporary in the usual case.
            if np.isfinite(array.sum()):
                continue
        bad = ~np.isfinite(array)
        here = int(np.count_nonzero(bad))
        count += here
        if here:
            row, step, unit = (int(k) for k in np.unravel_index(int(bad.argmax()), bad.shape))
            if name == "outputs":
                step = _timestep_of_output(layer, row, step)
            candidate = ((row, step, unit), name)
            first = candidate if first is None else min(first, candidate, key=lambda item: item[0])
    place = None
    if first is not None:
        row, step, unit = first[0]
        place = StatePlace(layer.first_sequence + row, step, unit)
    messages = (
        "every value is finite",
        f"NaN or infinity, first in {first[1] if first else ''}",
    )
    return judge("finite", layer, Peak(float(count), place), 0.0, messages)


def _timestep_of_output(layer: CheckedSlice, row: int, step: int) -> int:
    # The turn of a backward layer's outputs is its own inverse.
    return int(steps.output_rows(layer, np.array([row]), np.array([step]))[0])


def _m_bound(layer: CheckedSlice) -> Finding:
    check = "m-bound"
    bound = layer.facts.m_bound
    if bound is None:
        return skip(check, layer, "the activation of this layer sets no bound on m")
    m = layer.states.m
    if not m.size:
        return skip(check, layer, "no sequence has a step")
    # The clip was applied in the layer's own precision, where 0.3 may be 0.30000001.
    limit = float(m.dtype.type(bound))
    initial = layer.states.initial.get("m")
    if "c" not in layer.states.states and initial is not None and initial.size:
        # A cell without a c keeps m itself: it comes back from a large initial m step by step.
        limit = max(limit, float(np.abs(initial).max()))
    largest = _largest(layer, m)
    mask = steps.computed_steps(layer)
    if mask is not None and not largest.value <= limit:
        # Masked steps may hold an initial state, and nothing bounds what a user starts from.
        rows, times = np.nonzero(mask)
        largest = peak(np.abs(m[rows, times]), layer, rows, times)
    messages = (
        "|m| stays within what the activation allows",
        "|m| goes beyond what the activation allows",
    )
    return judge(check, layer, largest, limit, messages)


def _largest(layer: CheckedSlice, m: Array) -> Peak:
    """The largest |m| without a copy of m."""
    low, high = int(m.argmin()), int(m.argmax())
    # argmin and argmax both stop at a NaN.
    at = high if not abs(m.flat[low]) > abs(m.flat[high]) else low
    row, step, unit = (int(k) for k in np.unravel_index(at, m.shape))
    return Peak(float(abs(m.flat[at])), StatePlace(layer.first_sequence + row, step, unit))


DEAD_BELOW = 1e-3
"""A unit whose |m| never gets above this has no say in what reads the layer."""

MOST_C = 50.0
"""|c| grows by one a step at most, and act(c) is flat long before this."""


def _exploding_c(layer: CheckedSlice) -> Finding:
    c = layer.states.states["c"]
    if not c.size:
        return skip("exploding-c", layer, "no sequence has a step")
    limit, bad = taste("exploding-c", layer, MOST_C)
    messages = ("|c| stays small", "|c| grows large: act(c) no longer tells its values apart")
    return judge("exploding-c", layer, _largest(layer, c), limit, messages, bad)


def unit_peaks(layer: LayerSlice) -> Array:
    """The largest |m| of each unit over the valid steps, float64 (unit,); -inf without one."""
    m, mask = layer.states.m, steps.computed_steps(layer)
    where = True if mask is None else mask[:, :, None]
    peaks: Array = np.abs(m).max(axis=(0, 1), initial=-np.inf, where=where).astype(np.float64)
    return peaks


def _dead_units(layer: CheckedSlice) -> Finding:
    gathered = None if layer.context is None else layer.context.m_peaks
    peaks = unit_peaks(layer) if gathered is None else gathered
    if not np.isfinite(peaks).any():
        return skip("dead-units", layer, "no sequence has a valid step")
    dead = np.flatnonzero(peaks <= DEAD_BELOW)
    limit, bad = taste("dead-units", layer, 0.0)
    place = StatePlace(None, None, int(dead[0])) if dead.size else None
    messages = (
        f"every unit's |m| gets above {DEAD_BELOW:g} somewhere"
        if not dead.size
        else f"no more units than allowed stay below {DEAD_BELOW:g}",
        f"|m| of {len(dead)} of {len(peaks)} units never gets above {DEAD_BELOW:g}",
    )
    return judge("dead-units", layer, Peak(float(dead.size), place), limit, messages, bad)


NUMBER_CHECKS = (
    Check(
        id="finite",
        title="Every c, m, output and gate is finite",
        advice=(
            "The first place is where to look: a NaN in the input, an exploding c (no cell_clip, "
            "an unbounded activation), or weights that are not finite."
        ),
        requires=(),
        function=_finite,
        counted="values",
    ),
    Check(
        id="m-bound",
        title="|m| stays within what the activation and proj_clip allow",
        advice=(
            "Values beyond the bound are no output state of this cell: c and m may be swapped, or "
            "the activation is not the one the layer was trained with."
        ),
        requires=("m",),
        function=_m_bound,
    ),
    Check(
        id="exploding-c",
        title="|c| stays small",
        advice=(
            "Look at the forget gate (is it always near 1?), at forget_bias, and whether the layer "
            "was trained with a cell_clip."
        ),
        requires=("c",),
        function=_exploding_c,
        during_run=False,
        limit=MOST_C,
    ),
    Check(
        id="dead-units",
        title="Every unit's m gets above a threshold somewhere",
        advice=(
            "A unit that never speaks is wasted, or its weights were not loaded; a short or "
            "uniform input shows it, too."
        ),
        requires=("m",),
        function=_dead_units,
        counted="units",
        during_run=False,
        at_end=True,
        limit=0.0,
    ),
)
