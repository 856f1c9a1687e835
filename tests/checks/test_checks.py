"""Each check passes on a good slice and fails on a slice damaged for it, and on no other."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tiny_lstm import damage, facts, golden, in_trace, make_slice

from rnnscope.checks import CHECKS, REQUIREMENTS, merge, run_checks, worst_status
from rnnscope.checks.interface import CheckedSlice, Finding
from rnnscope.checks.interface import StatePlace as Place
from rnnscope.errors import OptionError, spelled
from rnnscope.model.states import LayerFacts, LayerStates

HOLES = [[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]


def by_id(layer):
    return {finding.check: finding for finding in run_checks(layer)}


def statuses(layer):
    return {finding.check: finding.status for finding in run_checks(layer)}


def not_passing(layer):
    return {check: status for check, status in statuses(layer).items() if status != "pass"}


KINDS = {
    "forward": {},
    "backward whole": {"backward": True},
    "backward within length": {"backward": True, "reversal": "within length"},
    "backward as processed": {"backward": True, "outputs_in_input_order": False},
}
PADDINGS = {
    "no lengths": {},
    "lengths": {"lengths": [5, 2, 1]},
    "a zero length": {"lengths": [4, 0, 5]},
    "a mask with holes": {"mask": HOLES, "input_steps": [4, 5, 5, 0]},
}


@pytest.mark.parametrize("padding", ["zeros", "hold", "none"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", PADDINGS)
def test_a_good_slice_passes_every_check(given, kind, padding):
    """Whatever the direction, the padding rule and the shape of the mask."""
    layer = in_trace(make_slice(facts(padding=padding, **KINDS[kind]), **PADDINGS[given]))
    found = statuses(layer)
    skipped = {check for check, status in found.items() if status == "skip"}
    # Of a sequence without a valid step there is something to say.
    expected = "warn" if given in {"a zero length", "a mask with holes"} else "pass"
    assert found.pop("zero-length") == ("skip" if given == "no lengths" else expected)
    assert set(found.values()) <= {"pass", "skip"}, by_id(layer)
    if given == "no lengths":
        lacking = {"mask-and-lengths", "zero-length"}
        past = {"outputs-past-length", "state-past-length", "length-cuts-input"}
        assert skipped == lacking | past


ZEROS = in_trace(make_slice(facts(padding="zeros"), lengths=[5, 2, 3]))
RUNNING = replace(ZEROS, context=None)
HOLD = in_trace(make_slice(facts(padding="hold"), lengths=[5, 2, 3]))
BACK = in_trace(make_slice(facts(padding="zeros", backward=True), lengths=[5, 2, 3]))


def known(**changes):
    """ZEROS, with something else known of it."""
    return replace(ZEROS, context=replace(ZEROS.context, **changes))


def other_states(array, value, *index):
    return damage(ZEROS, array, value, *index).states


DAMAGED = [
    # check, damaged slice, status, measured, place
    ("last-output-is-m", damage(ZEROS, "outputs", 0.9, 1, 1, 2), "fail", None, Place(1, 1, 2)),
    ("last-output-is-m", damage(BACK, "outputs", 0.9, 2, 0, 1), "fail", None, Place(2, 0, 1)),
    (
        "final-state-is-last-valid-step",
        damage(ZEROS, "final.c", 0.9, 2, 1),
        "fail",
        None,
        Place(2, 2, 1),
    ),
    (
        "final-state-is-last-valid-step",
        damage(BACK, "final.m", 0.9, 1, 0),
        "fail",
        None,
        Place(1, 0, 0),
    ),
    ("outputs-past-length", damage(ZEROS, "outputs", 0.25, 1, 4, 0), "fail", 0.25, Place(1, 4, 0)),
    ("outputs-past-length", damage(HOLD, "outputs", 0.9, 2, 4, 1), "fail", None, Place(2, 4, 1)),
    ("state-past-length", damage(ZEROS, "states.c", 3.0, 1, 4, 1), "fail", None, Place(1, 4, 1)),
    ("state-past-length", damage(BACK, "states.m", 0.9, 1, 2, 1), "fail", None, Place(1, 2, 1)),
    ("input-tail", replace(ZEROS, input_steps=np.array([4, 2, 1])), "warn", 2, Place(0, 4)),
    ("length-cuts-input", replace(ZEROS, input_steps=np.array([5, 2, 4])), "warn", 1, Place(2, 3)),
    ("finite", damage(ZEROS, "gates.f", np.inf, 1, 4, 0), "fail", 1, Place(1, 4, 0)),
    ("m-bound", replace(ZEROS, facts=facts(padding="zeros", m_bound=0.4)), "fail", None, None),
    (
        "initial-state-honoured",
        in_trace(damage(ZEROS, "initial.c", 0.9, 1, 2)),
        "fail",
        None,
        Place(1, 0, 2),
    ),
    (
        "initial-state-honoured",
        in_trace(damage(BACK, "initial.c", 0.9, 0, 2)),
        "fail",
        None,
        Place(0, 4, 2),
    ),
    ("state-from-gates", damage(ZEROS, "gates.f", 0.1, 0, 2, 1), "fail", None, Place(0, 2, 1)),
    ("state-from-gates", damage(BACK, "gates.g", 0.1, 0, 2, 1), "fail", None, Place(0, 2, 1)),
    ("c-m-order", damage(ZEROS, "gates.o", 0.1, 0, 2, 1), "fail", None, Place(0, 2, 1)),
    (
        "saturation",
        in_trace(
            make_slice(facts(padding="zeros"), lengths=[5, 2, 3], scale=60), m_peaks=np.ones(3)
        ),
        "warn",
        None,
        None,
    ),
    ("exploding-c", known(limits={"exploding-c": 0.25}), "fail", None, None),
    ("dead-units", known(m_peaks=np.array([0.5, 1e-4, 0.2])), "warn", 1, Place(None, None, 1)),
    (
        "mask-and-lengths",
        replace(ZEROS, lengths=np.array([5, 3, 3])),
        "fail",
        1,
        Place(1, 2),
    ),
    (
        "zero-length",
        in_trace(make_slice(facts(padding="zeros"), lengths=[5, 2, 0])),
        "warn",
        1,
        Place(2),
    ),
    ("handoff", known(origin={"c": ZEROS.states.initial["m"]}), "fail", None, None),
    ("padding-leak", known(alone=other_states("states.m", 0.9, 1, 1, 0)), "fail", None,
     Place(1, 1, 0)),
    ("float-drift", known(wide=other_states("states.c", 0.9, 2, 1, 0)), "fail", None,
     Place(2, 1, 0)),
    (
        "framework-kernel",
        known(verified=(replace(ZEROS.context.verified[0], difference=0.1, ok=False),)),
        "fail",
        0.1,
        None,
    ),
    ("golden", known(golden=golden(ZEROS, (1, 0, 2))), "fail", 0.5, Place(1, 0, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("check", "layer", "status", "measured", "place"), DAMAGED)
def test_a_damaged_slice_fails_in_just_that_check(check, layer, status, measured, place):
    """The finding says what was measured and where."""
    assert not_passing(layer) == {check: status}
    finding = by_id(layer)[check]
    assert place is None or finding.place == place
    assert measured is None or finding.measured == measured
    assert finding.limit is None or not finding.measured <= finding.limit


def test_every_check_has_a_damaged_slice():
    """State-width has a test of its own: nothing else can be judged then."""
    assert {row[0] for row in DAMAGED} == set(CHECKS) - {"state-width"}


def test_states_of_several_widths_fail_and_nothing_else_is_judged():
    final = {"c": np.zeros((3, 6), np.float32), "m": ZEROS.states.final["m"]}
    layer = replace(ZEROS, states=replace(ZEROS.states, final=final))
    assert {check: status for check, status in statuses(layer).items() if status != "skip"} == {
        "state-width": "fail",
        "finite": "pass",
    }
    words = "gate i 3, gate f 3, gate g 3, gate o 3, c 3, final c 6, initial c 3"
    assert by_id(layer)["state-width"].message == f"arrays of one state have several sizes: {words}"
    assert by_id(layer)["m-bound"].message == f"arrays do not fit each other: {words}"


def test_a_run_does_its_own_checks_alone():
    """The others need options, or the whole of a trace."""
    during = [check.id for check in CHECKS.values() if check.during_run]
    assert [finding.check for finding in run_checks(replace(ZEROS, context=None))] == during


def test_what_needs_the_whole_trace_waits_for_the_last_slice():
    ids = {finding.check for finding in run_checks(known(last=False))}
    assert set(CHECKS) - ids == {"dead-units", "golden"}


def swapped(layer):
    """The slice with c and m in each other's place, everywhere."""
    states = layer.states
    turned = {"c": states.m, "m": states.c}
    final = {"c": states.final["m"], "m": states.final["c"]}
    return replace(layer, states=replace(states, states=turned, final=final))


@pytest.mark.parametrize("gates", [True, False])
def test_swapped_states_are_told_with_and_without_gates(gates):
    layer = swapped(ZEROS)
    if not gates:
        layer = replace(layer, states=replace(layer.states, gates={}))
    finding = by_id(layer)["c-m-order"]
    rule = "o * tanh(c)" if gates else "between 0 and tanh(c)"
    assert finding.status == "fail"
    assert finding.message == f"m is not {rule}; with c and m exchanged it is"


def test_swapped_final_states_are_told_without_steps():
    states = replace(swapped(ZEROS).states, states={}, gates={})
    finding = by_id(replace(ZEROS, states=states))["c-m-order"]
    assert (finding.status, finding.place.timestep) == ("fail", None)


def test_a_clip_that_the_options_tell_is_followed():
    clipped = ZEROS.states.c.clip(-0.2, 0.2)
    layer = replace(ZEROS, states=replace(ZEROS.states, states={"c": clipped, "m": ZEROS.states.m}))
    first = by_id(layer)["initial-state-honoured"].status
    assert first == "fail"
    options = ZEROS.context.options | {"cell_clip": 0.2}
    layer = replace(layer, context=replace(layer.context, options=options))
    assert by_id(layer)["initial-state-honoured"].status == "pass"


@pytest.mark.parametrize(
    ("changes", "check", "message"),
    [
        ({"cell": "layer_norm_lstm"}, "state-from-gates",
         "the next state of this kind of cell is more than its gates"),
        ({}, "c-m-order", "a projection stands between c and m"),
        ({}, "mask-and-lengths", "no mask was given beside the lengths"),
    ],
)  # fmt: skip
def test_reasons_for_skipping_of_stored_slices(changes, check, message):
    layer = replace(
        known(projected=True, mask_given=False), facts=facts(padding="zeros", **changes)
    )
    assert (by_id(layer)[check].status, by_id(layer)[check].message) == ("skip", message)


def test_gru_states_follow_from_their_gates():
    rng = np.random.default_rng(3)
    z, n = rng.uniform(size=(2, 2, 4, 3)).astype(np.float32)
    m, before = np.zeros_like(z), np.full((2, 3), 0.25, np.float32)
    for t in range(4):
        m[:, t] = z[:, t] * (m[:, t - 1] if t else before) + (1 - z[:, t]) * n[:, t]
    gates = {"r": z, "z": z, "n": n}
    states = LayerStates({"m": m}, m, {"m": before}, {"m": m[:, -1]}, gates)
    layer = CheckedSlice(facts(cell="gru"), states, context=replace(ZEROS.context, golden=None))
    found = by_id(layer)
    assert found["state-from-gates"].status == found["initial-state-honoured"].status == "pass"
    z[1, 2, 0] += 0.25
    assert by_id(layer)["state-from-gates"].place == Place(1, 2, 0)


def test_a_limit_that_is_set_is_a_promise():
    """Beyond our own limit a check warns; beyond one of the user's it fails."""
    layer = in_trace(make_slice(facts(padding="zeros"), lengths=[5, 2, 0]))
    assert statuses(layer)["zero-length"] == "warn"
    for limit, status in ((0.0, "fail"), (1.0, "pass")):
        again = replace(layer, context=replace(layer.context, limits={"zero-length": limit}))
        assert statuses(again)["zero-length"] == status


def test_units_are_not_dead_where_nothing_was_computed():
    layer = in_trace(make_slice(facts(padding="zeros"), lengths=[0, 0]))
    finding = by_id(layer)["dead-units"]
    assert (finding.status, finding.message) == ("skip", "no sequence has a valid step")


def test_a_layer_without_values_is_not_finite():
    states = LayerStates({}, np.zeros((0, 5, 3), np.float32), {}, {})
    finding = by_id(replace(ZEROS, states=states, context=None))["finite"]
    assert (finding.status, finding.message) == ("skip", "the layer holds no values")


def test_places_count_from_the_start_of_the_run():
    layer = replace(damage(ZEROS, "outputs", 0.25, 1, 4, 0), first_sequence=96)
    assert by_id(layer)["outputs-past-length"].place == Place(97, 4, 0)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_a_check_that_lacks_something_is_skipped_and_says_what(check, requirement):
    """Nothing crashes on slices without gates, lengths, outputs or states."""
    states = ZEROS.states
    without = {
        "c": {"states": {"m": states.m}},
        "m": {"states": {"c": states.c}},
        "outputs": {"outputs": None},
        "gates": {"gates": {}},
        "final": {"final": {}},
        "initial": {"initial": {}},
    }
    if requirement in without:
        layer = replace(ZEROS, states=replace(states, **without[requirement]))
    elif hasattr(ZEROS.context, requirement):
        layer = known(**{requirement: None})
    elif requirement == "mask":
        layer = replace(ZEROS, mask=None, lengths=None)
    else:
        layer = replace(ZEROS, **{requirement: None})
    (finding,) = run_checks(layer, only=[check.id])
    if requirement in check.requires:
        assert finding.status == "skip"
        assert spelled(REQUIREMENTS[requirement]) in finding.message
        assert finding.message.startswith("needs ")
    else:
        assert finding.status in {"pass", "skip"} or requirement in {"mask", "initial"}


def test_reasons_for_skipping():
    wrapped = make_slice(facts(padding="zeros", outputs_are_m=False, m_bound=None), lengths=[5, 5])
    assert {f.check: f.message for f in run_checks(wrapped) if f.status == "skip"} == {
        "last-output-is-m": "a wrapper stands between m and the outputs of this layer",
        "outputs-past-length": "no step lies past the length of its sequence",
        "state-past-length": "no step lies past the length of its sequence",
        "m-bound": "the activation of this layer sets no bound on m",
    }
    empty = make_slice(facts(padding="zeros"), lengths=[0, 0])
    assert by_id(empty)["last-output-is-m"].message == "no sequence has a valid step"


@pytest.mark.parametrize(
    ("shown", "rule"), [("zeros", "hold"), ("hold", "zeros"), ("none", "hold")]
)
def test_outputs_by_another_rule_fail(shown, rule):
    """The message says what the outputs show and what the rule is."""
    layer = make_slice(facts(padding=shown), lengths=[5, 2, 3])
    layer = replace(layer, facts=facts(padding=rule))
    finding = by_id(layer)["outputs-past-length"]
    words = {"zeros": "are zero", "hold": "repeat the previous output", "none": "are computed on"}
    rules = {"zeros": "zeros", "hold": "to repeat the previous output"}
    assert finding.status == "fail"
    assert finding.message == (f"outputs past the length {words[shown]}; the rule is {rules[rule]}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shown", ["zeros", "hold"])
def test_padding_where_every_step_should_be_computed_fails(shown, kind):
    layer = make_slice(facts(padding=shown, **KINDS[kind]), lengths=[5, 2, 3])
    layer = replace(layer, facts=facts(padding="none", **KINDS[kind]))
    found = statuses(layer)
    tail_first = layer.facts.backward
    # Read from the end, padding comes before all else, where a state at rest is no evidence.
    expected = "skip" if tail_first else "fail"
    assert (found["outputs-past-length"], found["state-past-length"]) == (expected, expected)
    if tail_first:
        message = by_id(layer)["state-past-length"].message
        assert message == "the steps past the length were taken before the valid ones"


def test_a_recurrence_at_rest_may_be_computed_on():
    """A fixed point reached before the padding repeats itself, and that is no failure."""
    layer = make_slice(facts(padding="none"), lengths=[4], timesteps=5)
    for name in ("states.c", "states.m", "outputs"):
        layer = damage(layer, name, 0.5, 0, slice(2, None))
    found = by_id(layer)
    assert found["outputs-past-length"].status == found["state-past-length"].status == "pass"


@pytest.mark.parametrize(("padding", "expected"), [("zeros", "fail"), ("none", "fail")])
def test_computed_on_is_told_from_carried(padding, expected):
    """States of the one rule fail under the other."""
    other = "none" if padding == "zeros" else "zeros"
    layer = make_slice(facts(padding=other), lengths=[5, 2, 3])
    layer = replace(layer, facts=facts(padding=padding))
    assert statuses(layer)["state-past-length"] == expected


@pytest.mark.parametrize(
    ("array", "index", "failing"),
    [
        ("outputs", (0, 4, 0), {"last-output-is-m", "finite"}),
        ("outputs", (1, 4, 0), {"outputs-past-length", "finite"}),
        ("states.c", (1, 4, 0), {"state-past-length", "finite"}),
        ("states.m", (1, 0, 0), {"m-bound", "finite"}),
        ("final.c", (1, 0), {"final-state-is-last-valid-step"}),
    ],
)
def test_nan_never_passes(array, index, failing):
    assert set(not_passing(damage(RUNNING, array, np.nan, *index))) == failing


def test_nan_equals_nan():
    """A NaN that is carried, held and returned as it is breaks no equality."""
    layer = RUNNING
    for name in ("states.m", "outputs"):
        layer = damage(layer, name, np.nan, 0, 4, 1)
    layer = damage(layer, "final.m", np.nan, 0, 1)
    assert set(not_passing(layer)) == {"finite", "m-bound"}
    assert math.isnan(by_id(layer)["m-bound"].measured)


def test_finite_counts_values_and_names_the_first():
    layer = damage(damage(ZEROS, "states.m", np.nan, 2, 0), "states.c", -np.inf, 1, 1, 1)
    finding = by_id(layer)["finite"]
    assert (finding.measured, finding.place) == (4, Place(1, 1, 1))
    assert finding.message == "NaN or infinity, first in c"


def test_finite_sees_a_large_sum_of_finite_values_as_finite():
    layer = damage(ZEROS, "states.c", np.finfo(np.float32).max, 0)
    assert statuses(layer)["finite"] == "pass"


def test_m_bound_is_held_in_the_precision_of_the_layer():
    """proj_clip 0.3 clips to the float32 next to 0.3, which is larger."""
    layer = make_slice(facts(m_bound=0.3), sequences=2)
    for index in range(2):
        layer = damage(layer, "states.m", np.float32(0.3), index)
    assert statuses(layer)["m-bound"] == "pass"
    assert by_id(damage(layer, "states.m", 0.31, 0, 0, 0))["m-bound"].status == "fail"


def test_m_bound_leaves_out_an_initial_state_that_is_held_past_the_length():
    layer = make_slice(facts(padding="zeros", backward=True), lengths=[5, 2, 3])
    layer = damage(damage(layer, "states.m", 7.0, 1, slice(2, None)), "initial.m", 7.0, 1)
    assert statuses(layer)["m-bound"] == statuses(layer)["state-past-length"] == "pass"


def test_the_final_state_of_an_empty_sequence_is_its_initial_state():
    layer = damage(make_slice(facts(padding="zeros"), lengths=[5, 0]), "final.m", 0.9, 1, 2)
    finding = by_id(layer)["final-state-is-last-valid-step"]
    assert (finding.status, finding.place) == ("fail", Place(1, None, 2))


WORKED = np.array(
    [
        [0.00427834410, 0.00145841937, 0.0125767402, 0.00500775501],
        [0.00624437723, 0.00260074623, 0.0232168660, 0.00947457738],
        [0.00759789022, -0.0000534060055, 0.0164511874, -0.00571310846],
        [0, 0, 0, 0],
    ],
    np.float32,
)[None]


def worked_example(outputs):
    """The published example: outputs and the returned state m alone, no state per step."""
    states = LayerStates({}, outputs, {}, {"m": WORKED[:, 2]})
    return CheckedSlice(LayerFacts("source", padding="zeros"), states, lengths=np.array([3]))


def test_the_worked_example_passes():
    found = statuses(worked_example(WORKED))
    assert found["last-output-is-m"] == found["outputs-past-length"] == found["finite"] == "pass"
    assert "fail" not in found.values()


def test_the_worked_example_with_its_zeros_replaced_fails_and_says_where():
    outputs = WORKED.copy()
    outputs[0, 3] = [0.001, 0.002, -0.004, 0.003]
    finding = by_id(worked_example(outputs))["outputs-past-length"]
    assert (finding.status, finding.place) == ("fail", Place(0, 3, 2))
    assert finding.measured == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("lengths", "status"), [([10, 6], "pass"), ([10, 10], "warn"), (None, "warn")]
)
def test_the_trap_of_lengths_that_run_through_zero_rows(lengths, status):
    """X[1, 6:] = 0 looks padded; with lengths [10, 10] or none it is computed all the same."""
    layer = make_slice(
        facts(padding="zeros" if lengths else "none"),
        sequences=2,
        timesteps=10,
        lengths=lengths,
        input_steps=[10, 6],
    )
    finding = by_id(layer)["input-tail"]
    assert finding.status == status
    if status == "warn":
        assert (finding.measured, finding.place) == (1, Place(1, 6))


def finding(status, measured=None, place=None, check="m-bound"):
    return Finding(check, "a", status, "", measured, 1.0, place)


@pytest.mark.parametrize(
    ("slices", "kept"),
    [
        ([finding("pass", 9.0), finding("fail", 2.0)], 1),
        ([finding("skip"), finding("pass", 0.0)], 1),
        ([finding("warn", 0.0), finding("pass", 5.0)], 0),
        ([finding("pass", 0.5), finding("pass", 0.7), finding("pass", 0.6)], 1),
        ([finding("fail", 9.0), finding("fail", math.nan), finding("fail", math.inf)], 1),
        ([finding("pass", 0.5), finding("pass")], 0),
    ],
)
def test_merging_keeps_the_worst_status_then_the_largest_value(slices, kept):
    assert merge(slices) == [slices[kept]]


def test_merging_adds_up_counts_and_keeps_the_first_place():
    parts = [
        finding("pass", 0.0, None, "input-tail"),
        finding("warn", 2.0, Place(70, 3), "input-tail"),
        finding("warn", 1.0, Place(9, 5), "input-tail"),
    ]
    (merged,) = merge(parts)
    assert (merged.status, merged.measured, merged.place) == ("warn", 3.0, Place(9, 5))
    assert merge([*merge(parts[:2]), parts[2]]) == [merged]


def test_merging_keeps_layers_apart_in_order():
    a, b = finding("pass", 1.0), replace(finding("fail", 2.0), layer="b")
    assert merge([a, b, a]) == [a, b]
    assert worst_status([a, b]) == "fail"
    assert worst_status([]) == "skip"


def test_slices_merge_to_the_findings_of_the_whole():
    """Checked in slices, as during a run, or at once: the same statuses and places."""
    whole = damage(RUNNING, "outputs", 0.25, 2, 4, 0)

    def part(first, last):
        cut = slice(first, last)
        states = LayerStates(
            {k: v[cut] for k, v in whole.states.states.items()},
            whole.states.outputs[cut],
            {k: v[cut] for k, v in whole.states.initial.items()},
            {k: v[cut] for k, v in whole.states.final.items()},
        )
        return CheckedSlice(
            whole.facts, states, whole.lengths[cut], whole.mask[cut], whole.input_steps[cut], first
        )

    parts = [finding for k in range(3) for finding in run_checks(part(k, k + 1))]
    at_once = run_checks(whole)
    assert [(f.check, f.status, f.measured, f.place) for f in merge(parts)] == [
        (f.check, f.status, f.measured, f.place) for f in at_once
    ]


def test_an_unknown_check_is_named_with_its_nearest():
    with pytest.raises(OptionError, match="Did you mean 'finite'"):
        run_checks(ZEROS, only=["finit"])


def test_large_slices_are_compared_in_blocks(monkeypatch):
    monkeypatch.setattr("rnnscope.checks.measure.BLOCK_VALUES", 4)
    layer = damage(ZEROS, "states.c", 3.0, 1, 4, 1)
    assert by_id(layer)["state-past-length"].place == Place(1, 4, 1)


def test_a_sequence_of_one_step_tells_carried_from_computed_on():
    """Its only valid step follows the initial state, which counts as movement."""
    layer = make_slice(facts(padding="zeros"), lengths=[1], timesteps=3)
    found = statuses(replace(layer, facts=facts(padding="none")))
    assert found["outputs-past-length"] == found["state-past-length"] == "fail"


def test_zeros_that_a_rectifier_computes_are_computed():
    layer = make_slice(facts(padding="none"), lengths=[5, 2])
    for name in ("states.m", "outputs"):
        layer = damage(layer, name, 0.0, 1, slice(2, None))
    layer = damage(layer, "final.m", 0.0, 1)
    assert statuses(layer)["outputs-past-length"] == "pass"


def test_outputs_without_any_state_m_are_not_judged():
    layer = replace(ZEROS, states=LayerStates({}, ZEROS.states.outputs, {}, {}))
    assert (
        by_id(layer)["last-output-is-m"].message == "needs the output state m, which is not there"
    )


def test_an_empty_slice_is_skipped_not_broken():
    layer = make_slice(facts(padding="zeros"), lengths=[0], timesteps=1)
    states = LayerStates(
        {name: values[:0] for name, values in layer.states.states.items()},
        layer.states.outputs[:0],
        {name: values[:0] for name, values in layer.states.initial.items()},
        {name: values[:0] for name, values in layer.states.final.items()},
    )
    empty = CheckedSlice(layer.facts, states, np.zeros(0, int), np.zeros((0, 1), bool), np.zeros(0))
    assert set(statuses(empty).values()) <= {"pass", "skip"}
