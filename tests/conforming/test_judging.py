"""An answer is judged to the last value, and its first wrong place is that of the first step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnscope.conforming.corpus import cases
from rnnscope.conforming.expected import expected
from rnnscope.conforming.judging import judge, reach, tolerance
from rnnscope.conforming.readings import READINGS, cause


def case_of(name):
    return next(cases(only=name))


def copied(truth):
    return tuple({name: array.copy() for name, array in one.items()} for one in truth)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_limit_is_at_the_limit(dtype):
    case = case_of(f"lstm/dtypes/{dtype}")
    truth = expected(case)
    for factor, right in ((0.98, True), (1.02, False)):
        answer = copied(truth)
        answer[0]["outputs"][1, 2, 0] += factor * tolerance(case)
        found = judge(case, truth, answer)
        assert found.right is right
        assert found.error == pytest.approx(factor, rel=1e-2)


@pytest.mark.parametrize("array", ["outputs", "c", "final_m", "final_c"])
def test_every_array_is_judged(array):
    case = case_of("lstm/directions/bidirectional")
    truth = expected(case)
    answer = copied(truth)
    answer[1][array][..., 2] += 0.01
    found = judge(case, truth, answer)
    assert (found.right, found.first.array, found.first.direction) == (False, array, "backward")
    assert found.wrong_part == "in unit 2"


def test_the_first_step_is_the_first_that_is_processed():
    for name, step in (("lstm/initial/given", 1), ("lstm/directions/reverse", 3)):
        case = case_of(name)
        truth = expected(case)
        answer = copied(truth)
        for t in (1, 3):
            answer[0]["outputs"][2, t, 1] += 1
        first = judge(case, truth, answer).first
        assert (first.sequence, first.step, first.unit) == (2, step, 1)
        assert first.found == pytest.approx(first.expected + 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_wrong(value):
    case = case_of("gru/initial/given")
    truth = expected(case)
    answer = copied(truth)
    answer[0]["final_m"][0, 1] = value
    found = judge(case, truth, answer)
    assert (found.right, found.error) == (False, np.inf)
    assert found.first.unit == 1


def test_what_is_not_given_is_not_judged_unless_it_has_to_be():
    case = case_of("lstm/initial/given")
    truth = expected(case)
    answer = ({name: truth[0][name] for name in ("outputs", "final_m", "final_c")},)
    found = judge(case, truth, answer)
    assert (found.right, found.not_given, found.missing) == (True, ("c",), ())
    for name in ("outputs", "final_m", "final_c"):
        less = ({key: array for key, array in truth[0].items() if key != name},)
        assert judge(case, truth, less).missing == (name,)
        assert not judge(case, truth, less).right


@pytest.mark.parametrize(
    ("touched", "words"),
    [
        ((slice(None), slice(None), slice(None)), "everywhere"),
        ((0, slice(None), slice(None)), "in sequence 0"),
        ((slice(None), slice(1, 3), slice(None)), "in steps 1 to 2"),
        ((slice(None), slice(None), [0, 4]), "in units 0, 4"),
        ((1, 2, 3), "in sequence 1, step 2, unit 3"),
        ((slice(None), slice(None), slice(0, 16, 2)), "in units 0, 2, 4, 6, 8, 10, …"),
    ],
)
def test_how_far_a_fault_reaches(touched, words):
    wrong = np.zeros((2, 4, 17), bool)
    wrong[touched] = True
    assert reach(wrong) == words


CASES = [
    "lstm/lengths/mixed-*", "lstm/lengths/with-0-initial-*", "lstm/clip/*", "lstm/cell-clip/*",
    "lstm/projection/clipped", "lstm/activations/three-different", "lstm/coupled/plain",
    "lstm/forget-bias/1", "lstm/peepholes/plain", "lstm/initial/given",
    "lstm/directions/bidirectional*", "gru/bias/*", "gru/sizes/units-129",
]  # fmt: skip


@pytest.fixture(scope="module")
def some():
    return [case for pattern in CASES for case in cases(only=pattern)]


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.words)
def test_a_reading_is_recognised_where_it_changes_something(some, reading):
    """Its own numbers, rounded to the dtype, lead back to it; or to one that gives the same."""
    seen = 0
    for case in some:
        wrong = reading.gives(case)
        if wrong is None or judge(case, expected(case), wrong).first is None:
            continue
        rounded = tuple(
            {name: array.astype(case.dtype) for name, array in one.items()} for one in wrong
        )
        seen += cause(case, rounded) == reading.words
    assert seen


def test_no_reading_is_named_for_numbers_of_no_reading(some):
    for case in some:
        answer = copied(expected(case))
        for one in answer:
            one["outputs"] += 0.01
        assert cause(case, answer) == ""


def test_two_faults_together_are_both_named():
    case = case_of("lstm/clip/c-beyond-lengths")
    both = replace(case, lengths=None)
    options = replace(both.layers[0].cell.options, gate_clip=replace(
        both.layers[0].cell.options.gate_clip, value=None))  # fmt: skip
    layer = replace(both.layers[0], cell=replace(both.layers[0].cell, options=options))
    answer = expected(replace(both, layers=(layer,)))
    assert cause(case, answer) == "it ignored the lengths, and it ignored the clip"
