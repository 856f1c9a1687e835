"""Checks of padding: what lies past the length, and whether the lengths fit the input.

"Past the length" means every step that lengths or mask call not valid, be it at the end, at the
start or inside of a sequence.
"""

from __future__ import annotations

from dataclasses import field

import numpy as np

from rnnscope.checks import steps
from rnnscope.checks.interface import Check, CheckedSlice, Finding, StatePlace
from rnnscope.checks.measure import Peak, blocks, differences, judge, peak, skip
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerSlice


@dataclass(frozen=True)
class PastLength:
    """What some steps past the length hold.

    Attributes
    ----------
    count : int
        How many steps were looked at.
    value : Peak
        The largest |value|: zero if all are zero.
    change : Peak
        The largest change against the step that the layer took before: zero if all are held.
    """

    count: int
    value: Peak = field(default_factory=Peak)
    change: Peak = field(default_factory=Peak)

    @property
    def zeros(self) -> bool:
        return self.value.value == 0

    @property
    def held(self) -> bool:
        return self.change.value == 0


def outputs_past(layer: LayerSlice, after_valid: bool = False) -> PastLength:
    """What the outputs show past the length; before the first step the output counts as zero.

    With `after_valid`, only at steps that the layer took after a valid one.
    """
    return _past(layer, layer.states.outputs, layer.held, after_valid, outputs=True)


def states_past(layer: LayerSlice, after_valid: bool = False) -> PastLength:
    """What all states (c and m) show past the length; `after_valid` as in `outputs_past`."""
    count, value, change = 0, Peak(), Peak()
    for name, state in layer.states.states.items():
        past = _past(layer, state, layer.states.initial.get(name), after_valid, outputs=False)
        count, value, change = past.count, value | past.value, change | past.change
    return PastLength(count, value, change)


def _past(
    layer: LayerSlice, array: Array, initial: Array | None, after_valid: bool, *, outputs: bool
) -> PastLength:
    mask = steps.valid_steps(layer)
    if mask is None:
        return PastLength(0)
    rows, times = steps.masked_steps(mask)
    if after_valid:
        chosen = steps.follows_valid_step(layer, mask, rows, times)
        rows, times = rows[chosen], times[chosen]
    before = steps.step_before(layer, rows, times)
    value, change = Peak(), Peak()
    for part in blocks(len(rows), array.shape[-1]):
        row, time, previous = rows[part], times[part], before[part]
        at, at_before = time, np.maximum(previous, 0)
        if outputs:
            at = steps.output_rows(layer, row, at)
            at_before = steps.output_rows(layer, row, at_before)
        here, held = array[row, at], array[row, at_before]
        at_start = previous < 0
        held[at_start] = 0 if initial is None else initial[row[at_start]]
        value |= peak(differences(here, 0.0), layer, row, time)
        change |= peak(differences(here, held), layer, row, time)
    return PastLength(len(rows), value, change)


def _outputs_past_length(layer: CheckedSlice) -> Finding:
    check = "outputs-past-length"
    rule = layer.facts.padding
    past = outputs_past(layer, after_valid=rule == "none")
    if not past.count:
        return skip(check, layer, _nothing_to_see(layer))
    shows = _words(past)
    if rule == "zeros":
        messages = ("outputs past the length are zero", f"{shows}; the rule is zeros")
        return judge(check, layer, past.value, 0.0, messages)
    if rule == "hold":
        messages = (
            "outputs past the length repeat the previous output",
            f"{shows}; the rule is to repeat the previous output",
        )
        return judge(check, layer, past.change, 0.0, messages)
    return _computed_on(check, layer, past, contradicted=_outputs_stand_still(layer, past))


def _nothing_to_see(layer: LayerSlice) -> str:
    mask = steps.valid_steps(layer)
    if mask is None or mask.all():
        return "no step lies past the length of its sequence"
    # Computed from the initial state, they may rest in it as if they were carried.
    return "the steps past the length were taken before the valid ones"


def _words(past: PastLength) -> str:
    if past.zeros:
        return "outputs past the length are zero"
    if past.held:
        return "outputs past the length repeat the previous output"
    return "outputs past the length are computed on"


def _outputs_stand_still(layer: LayerSlice, past: PastLength) -> bool:
    if past.zeros:
        # A rectifier may compute zeros; then m is zero as well.
        m_zero = "m" in layer.states.states and not _m_past(layer).value.value
        return not m_zero and _moving(layer, layer.states.outputs, outputs=True)
    return past.held and _moving(layer, layer.states.outputs, outputs=True)


def _m_past(layer: LayerSlice) -> PastLength:
    return _past(layer, layer.states.m, layer.states.initial.get("m"), True, outputs=False)


def _state_past_length(layer: CheckedSlice) -> Finding:
    check = "state-past-length"
    rule = layer.facts.padding
    past = states_past(layer, after_valid=rule == "none")
    if not past.count:
        return skip(check, layer, _nothing_to_see(layer))
    if rule != "none":
        messages = (
            "the state past the length is carried unchanged",
            "the state past the length changes; the rule is to carry it",
        )
        return judge(check, layer, past.change, 0.0, messages)
    still = past.held and any(
        _moving(layer, state, outputs=False) for state in layer.states.states.values()
    )
    return _computed_on(check, layer, past, contradicted=still)


def _computed_on(check: str, layer: LayerSlice, past: PastLength, contradicted: bool) -> Finding:
    subject = "outputs" if check.startswith("outputs") else "states"
    return Finding(
        check=check,
        layer=layer.facts.name,
        status="fail" if contradicted else "pass",
        message=(
            f"the {subject} past the length stand still; the rule is to compute every step"
            if contradicted
            else f"the {subject} past the length are computed on"
        ),
        measured=past.change.value,
        place=past.change.place,
    )


def _moving(layer: LayerSlice, array: Array, *, outputs: bool) -> bool:
    """Whether the last valid step of any sequence still changed the values.

    A recurrence that has come to rest before the padding repeats itself when computed on, too.
    """
    mask = steps.valid_steps(layer)
    if mask is None:
        return False
    rows, times = steps.last_taken(layer, mask)
    before = steps.step_before(layer, rows, times)
    if (before < 0).any():
        return True
    at, at_before = times, before
    if outputs:
        at = steps.output_rows(layer, rows, times)
        at_before = steps.output_rows(layer, rows, before)
    return bool((array[rows, at] != array[rows, at_before]).any())


def zero_tails(layer: LayerSlice) -> Array:
    """Per sequence, how many all-zero rows at the end of the input the length runs through."""
    rows: Array = np.maximum(_ends(layer) - _input_steps(layer), 0)
    return rows


def cut_rows(layer: LayerSlice) -> Array:
    """Per sequence, how many rows of the input lie past the length, the last one not zero."""
    rows: Array = np.maximum(_input_steps(layer) - _ends(layer), 0)
    return rows


def _input_steps(layer: LayerSlice) -> Array:
    assert layer.input_steps is not None, "guarded by Check.requires"
    return np.asarray(layer.input_steps)


def _ends(layer: LayerSlice) -> Array:
    mask = steps.valid_steps(layer)
    sequences, timesteps = steps.shape(layer)
    return np.full(sequences, timesteps) if mask is None else steps.valid_end(mask)


def _input_tail(layer: CheckedSlice) -> Finding:
    count, place = _first(layer, zero_tails(layer), _input_steps(layer))
    messages = (
        "no length runs through all-zero rows at the end of the input",
        (
            "the length runs through all-zero rows at the end of the input: they look like "
            "padding, yet are computed as steps"
        ),
    )
    return judge("input-tail", layer, Peak(count, place), 0.0, messages, bad="warn")


def _length_cuts_input(layer: CheckedSlice) -> Finding:
    count, place = _first(layer, cut_rows(layer), _ends(layer))
    messages = (
        "no row of the input past the length holds values",
        "rows of the input past the length are not zero: the length may be too short",
    )
    return judge("length-cuts-input", layer, Peak(count, place), 0.0, messages, bad="warn")


def _first(layer: LayerSlice, rows: Array, start: Array) -> tuple[float, StatePlace | None]:
    hit = np.flatnonzero(rows)
    if not hit.size:
        return 0.0, None
    return float(hit.size), StatePlace(layer.first_sequence + int(hit[0]), int(start[hit[0]]))


PADDING_CHECKS = (
    Check(
        id="outputs-past-length",
        title="Outputs past the length are what the padding rule says",
        advice=(
            "Compare the lengths with those the layer was given, and the padding rule ({padding}) "
            "with the framework that ran it: TensorFlow, torch and ONNX give zeros, Keras repeats."
        ),
        requires=("outputs", "mask"),
        function=_outputs_past_length,
    ),
    Check(
        id="state-past-length",
        title="c and m past the length are what the padding rule says",
        advice=(
            "A state that changes past the length was computed through the padding: look whether "
            "the lengths reached the layer."
        ),
        requires=("m", "mask"),
        function=_state_past_length,
    ),
    Check(
        id="input-tail",
        title="No length runs through all-zero rows at the end of the input",
        advice=(
            "If the zero rows are padding, give shorter {lengths} (or {lengths=auto}); if they "
            "are data, all is well."
        ),
        requires=("input_steps",),
        function=_input_tail,
        counted="sequences",
    ),
    Check(
        id="length-cuts-input",
        title="No length cuts rows of the input that are not zero",
        advice="Look whether the lengths belong to this input, and count steps, not indices.",
        requires=("input_steps", "mask"),
        function=_length_cuts_input,
        counted="sequences",
    ),
)
