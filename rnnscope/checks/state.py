"""Checks of the state: is the last output m, and is the final state that of the last step?"""

from __future__ import annotations

import numpy as np

from rnnscope.cell import Array
from rnnscope.checks import steps
from rnnscope.checks.interface import Check, Finding, LayerSlice, Place
from rnnscope.checks.measure import Peak, differences, judge, peak, skip


def _last_output_is_m(layer: LayerSlice) -> Finding:
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


def _final_state(layer: LayerSlice) -> Finding:
    check = "final-state-is-last-valid-step"
    rows, times = steps.last_taken(layer, steps.computed_steps(layer))
    found, worst = Peak(), ""
    for name, final in layer.states.final.items():
        if name not in layer.states.states:
            continue
        here = _final_difference(layer, name, final, rows, times)
        if (found | here) is not found:
            found, worst = here, name
    messages = (
        "the final state is the state at the last valid step, bit for bit",
        f"the final {worst} is not the {worst} of the last valid step",
    )
    return judge(check, layer, found, 0.0, messages)


def _final_difference(
    layer: LayerSlice, name: str, final: Array, rows: Array, times: Array
) -> Peak:
    expected = layer.states.states[name][rows, times]
    found = peak(differences(final[rows], expected), layer, rows, times)
    empty = np.setdiff1d(np.arange(len(final)), rows)
    initial = layer.states.initial.get(name)
    if not empty.size or initial is None:
        return found
    # A sequence without a valid step ends as it began; it has no timestep to point at.
    unmoved = peak(differences(final[empty], initial[empty]), layer, empty, np.zeros_like(empty))
    if unmoved.place:
        unmoved = Peak(unmoved.value, Place(unmoved.place.sequence, None, unmoved.place.unit))
    return found | unmoved


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
)
