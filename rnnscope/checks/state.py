"""Checks of the state: the last output is m, the final state that of the last step."""

from __future__ import annotations

import numpy as np

from rnnscope.checks import steps
from rnnscope.checks.interface import Check, CheckedSlice, Finding
from rnnscope.checks.measure import Peak, differences, judge, largest_by_name, peak, skip
from rnnscope.model.cell import Array


def _last_output_is_m(layer: CheckedSlice) -> Finding:
    check = "last-output-is-m"
    states = layer.states
    if not layer.facts.outputs_are_m:
        return skip(check, layer, "a wrapper stands between m and the outputs of this layer")
    every, final = states.states.get("m"), states.final.get("m")
    mask = steps.computed_steps(layer)
    rows, times = steps.last_taken(layer, mask)
    if not rows.size:
        return skip(check, layer, "no sequence has a valid step")
    # Bare arrays (an `outputs` and the state that a framework returned) have no m per step.
    if every is not None:
        expected = every[rows, times]
    elif final is not None:
        expected = final[rows]
    else:
        return skip(check, layer, "needs the output state m, which is not there")
    last = states.outputs[rows, steps.output_rows(layer, rows, times)]
    messages = (
        "the output of the last valid step is the state m, bit for bit",
        "the output of the last valid step is not the state m",
    )
    return judge(check, layer, peak(differences(last, expected), layer, rows, times), 0.0, messages)


def _final_state(layer: CheckedSlice) -> Finding:
    check = "final-state-is-last-valid-step"
    rows, times = steps.last_taken(layer, steps.computed_steps(layer))
    largest, worst = largest_by_name(
        (name, _final_difference(layer, name, final, rows, times))
        for name, final in layer.states.final.items()
        if name in layer.states.states
    )
    messages = (
        "the final state is the state at the last valid step, bit for bit",
        f"the final {worst} is not the {worst} of the last valid step",
    )
    return judge(check, layer, largest, 0.0, messages)


def _final_difference(
    layer: CheckedSlice, name: str, final: Array, rows: Array, times: Array
) -> Peak:
    expected = layer.states.states[name][rows, times]
    largest = peak(differences(final[rows], expected), layer, rows, times)
    is_empty = np.ones(len(final), np.bool_)
    is_empty[rows] = False
    empty = np.flatnonzero(is_empty)
    initial = layer.states.initial.get(name)
    if not empty.size or initial is None:
        return largest
    # A sequence without a valid step ends as it began; it has no timestep to point at.
    unmoved = peak(differences(final[empty], initial[empty]), layer, empty, np.zeros_like(empty))
    return largest | unmoved.without_timestep()


def widths_that_differ(layer: CheckedSlice) -> str:
    """Arrays that should be equally wide and are not, in words; empty if all fit."""
    states = layer.states
    wide_as_c = {f"gate {name}": array for name, array in states.gates.items()}
    wide_as_m = {}
    if layer.facts.outputs_are_m and states.outputs is not None and len(states.outputs):
        wide_as_m["outputs"] = states.outputs
    for prefix, group in (("", states.states), ("final ", states.final),
                          ("initial ", states.initial)):  # fmt: skip
        for name, array in group.items():
            (wide_as_c if name == "c" else wide_as_m)[f"{prefix}{name}"] = array
    disagreements = []
    for family in (wide_as_c, wide_as_m):
        widths = {name: array.shape[-1] for name, array in family.items()}
        if len(set(widths.values())) > 1:
            disagreements.append(", ".join(f"{name} {width}" for name, width in widths.items()))
    return "; ".join(disagreements) or _axes_that_differ({**wide_as_c, **wide_as_m})


def _axes_that_differ(arrays: dict[str, Array]) -> str:
    over_time = {name: array.shape[:2] for name, array in arrays.items() if array.ndim == 3}
    sequences = {name: array.shape[:1] for name, array in arrays.items()}
    for sizes_by_name in (over_time, sequences):
        if len(set(sizes_by_name.values())) > 1:
            return ", ".join(
                f"{name} {' x '.join(map(str, sizes))}" for name, sizes in sizes_by_name.items()
            )
    return ""


def _state_width(layer: CheckedSlice) -> Finding:
    wrong = widths_that_differ(layer)
    if wrong:
        message = f"arrays of one state have several sizes: {wrong}"
        return Finding("state-width", layer.facts.name, "fail", message)
    parts = {**layer.states.final, **layer.states.states}
    widths = ", ".join(f"{name} is {array.shape[-1]} wide" for name, array in parts.items())
    if not widths:
        return skip("state-width", layer, "needs a state")
    return Finding("state-width", layer.facts.name, "pass", widths)


def _handoff(layer: CheckedSlice) -> Finding:
    check = "handoff"
    assert layer.context is not None, "guarded by Check.requires"
    origin = layer.context.origin or {}
    peaks = []
    for name, final in origin.items():
        initial = layer.states.initial.get(name)
        if initial is None:
            continue
        if initial.shape != final.shape:
            message = f"the initial {name} is {initial.shape[-1]} wide, not {final.shape[-1]}"
            return Finding(check, layer.facts.name, "fail", message)
        rows = np.arange(len(final))
        here = peak(differences(initial, final), layer, rows, np.zeros_like(rows))
        peaks.append((name, here.without_timestep()))
    largest, worst = largest_by_name(peaks)
    messages = (
        "the initial state is the final state of the layer it starts from, bit for bit",
        f"the initial {worst} is not the final {worst} of the layer it starts from",
    )
    return judge(check, layer, largest, 0.0, messages)


STATE_CHECKS = (
    Check(
        id="last-output-is-m",
        title="The output of the last valid step is the output state m, bit for bit",
        advice=(
            "Look for a wrapper between cell and outputs (projection, dropout, residual), a state "
            "read in the order (h, c), or lengths that differ from those the layer was given."
        ),
        requires=("outputs",),
        function=_last_output_is_m,
    ),
    Check(
        id="final-state-is-last-valid-step",
        title="The final c and m are those of the last valid step, bit for bit",
        advice=(
            "Look whether the lengths reached the layer, and, in a backward layer, whether its "
            "final state was taken at timestep 0."
        ),
        requires=("m", "final"),
        function=_final_state,
    ),
    Check(
        id="state-width",
        title="c and m have one width each, in steps, initial and final state",
        advice=(
            "A concatenated state is [c, m] with widths num_units and num_proj; it is no pair of "
            "equal halves where the cell has a projection."
        ),
        requires=(),
        function=_state_width,
        during_run=False,
    ),
    Check(
        id="handoff",
        title="A decoder's initial state is the encoder's final state, bit for bit",
        advice=(
            "Look whether c and m were handed over in the right order, and from the last valid "
            "step of each sequence."
        ),
        requires=("origin", "initial"),
        function=_handoff,
        during_run=False,
    ),
)
