"""Checks of plain numbers: finite, and within what the activation allows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.cell import Array
from rnnscope.checks import steps
from rnnscope.checks.interface import Check, Finding, LayerSlice, Place
from rnnscope.checks.measure import Peak, judge, peak, skip


def _arrays(layer: LayerSlice) -> Iterator[tuple[str, Array]]:
    yield from layer.states.states.items()
    if layer.states.outputs is not None:
        yield "outputs", layer.states.outputs
    yield from ((f"gate {name}", array) for name, array in layer.states.gates.items())


def _finite(layer: LayerSlice) -> Finding:
    count = 0
    first: tuple[tuple[int, ...], str] | None = None
    for name, array in _arrays(layer):
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
            found = ((row, step, unit), name)
            first = found if first is None else min(first, found, key=lambda item: item[0])
    place = None
    if first is not None:
        row, step, unit = first[0]
        place = Place(layer.first_sequence + row, step, unit)
    messages = (
        "every value is finite",
        f"NaN or infinity, first in {first[1] if first else ''}",
    )
    return judge("finite", layer, Peak(float(count), place), 0.0, messages)


def _timestep_of_output(layer: LayerSlice, row: int, step: int) -> int:
    # The turn of a backward layer's outputs is its own inverse.
    return int(steps.output_rows(layer, np.array([row]), np.array([step]))[0])


def _m_bound(layer: LayerSlice) -> Finding:
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
    found = _largest(layer, m)
    mask = steps.computed_steps(layer)
    if mask is not None and not found.value <= limit:
        # Masked steps may hold an initial state, and nothing bounds what a user starts from.
        rows, times = np.nonzero(mask)
        found = peak(np.abs(m[rows, times]), layer, rows, times)
    messages = (
        "|m| stays within what the activation allows",
        "|m| goes beyond what the activation allows",
    )
    return judge(check, layer, found, limit, messages)


def _largest(layer: LayerSlice, m: Array) -> Peak:
    """The largest |m| without a copy of m."""
    low, high = int(m.argmin()), int(m.argmax())
    # argmin and argmax both stop at a NaN.
    at = high if not abs(m.flat[low]) > abs(m.flat[high]) else low
    row, step, unit = (int(k) for k in np.unravel_index(at, m.shape))
    return Peak(float(abs(m.flat[at])), Place(layer.first_sequence + row, step, unit))


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
)
