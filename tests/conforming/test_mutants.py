"""Programs with the faults of real engines: each is caught, with its first wrong place.

The right program, written from CONFORMING.md alone, agrees in every case: a second opinion on the
truth, of which no line is rnnscope's.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnscope
from rnnscope.conforming.corpus import cases
from rnnscope.conforming.documents import answer_of
from rnnscope.conforming.engines.interface import Failed, NotOffered

from .mutants import command, engine_in_python


def differing(report):
    return [case for case in report.cases if case.status == "differs"]


@pytest.fixture(scope="module")
def right():
    return rnnscope.conform(engine_in_python())


def test_an_engine_that_nobody_here_wrote_a_line_of_agrees_everywhere(right):
    assert {case.status for case in right.cases} == {"agree"}
    assert len(right.cases) == 237
    assert all(case.not_given == () for case in right.cases)


def test_it_agrees_as_a_program_too():
    assert rnnscope.conform(command(), only="*/layout").verdict == "agree"


def test_flaggems_5014_units_beyond_a_block_are_dropped():
    report = rnnscope.conform(command("flaggems-5014"), only="*/sizes")
    wrong = differing(report)
    assert [case.case.rpartition("/")[2] for case in wrong] == [
        "units-129", "units-512", "units-129", "units-512-reset-after", "units-129", "units-512",
    ]  # fmt: skip
    assert {case.cause for case in wrong} == {"it left out the units beyond 128"}
    for case in wrong:
        assert (case.first.array, case.first.step, case.first.unit) == ("outputs", 0, 128)
        assert case.first.found == 0
    assert wrong[0].wrong_in_step == "in unit 128"
    assert wrong[1].wrong_in_step == "in units 128 to 511"


def test_pytorch_94754_bidirectional_layers_are_wrong():
    report = rnnscope.conform(command("pytorch-94754"), only="*/directions")
    wrong = differing(report)
    assert {case.case.split("/")[2].partition("-reset")[0] for case in wrong} == {
        "bidirectional", "bidirectional-initial", "bidirectional-batch-1",
        "bidirectional-units-129",
    }  # fmt: skip
    assert len(wrong) == 12
    for case in wrong:
        first, last = case.first, 2 if "units-129" in case.case else 4
        assert (first.array, first.direction, first.step) == ("outputs", "backward", last)
        assert case.cause.startswith("it ran both directions with the weights")


def test_pytorch_95118_packed_batches_are_wrong():
    report = rnnscope.conform(command("pytorch-95118"), only="lstm/lengths")
    wrong = {case.case.rpartition("/")[2]: case for case in differing(report)}
    assert {case.cause for case in wrong.values()} == {"it ran the packed batch as one sequence"}
    right = {case.case.rpartition("/")[2] for case in report.cases} - wrong.keys()
    assert right == {"batch-1", "all-0-initial"}
    first = wrong["full-forward"].first
    assert (first.array, first.sequence, first.step) == ("outputs", 1, 0)


def test_onnx_7664_the_last_c_is_not_there():
    report = rnnscope.conform(command("onnx-7664"), only="*/initial/*")
    wrong = differing(report)
    assert [case.cell for case in wrong] == ["lstm"] * 4
    assert {case.reason for case in wrong} == {"final_c not given"}
    assert {case.first for case in wrong} == {None}
    assert all(case.not_given == ("c",) for case in wrong)


def test_onnx_7664_the_last_c_has_its_axes_swapped():
    report = rnnscope.conform(command("onnx-7664-axis"), only="lstm/initial")
    seen = {case.case.rpartition("/")[2]: case for case in report.cases}
    assert seen["given-batch-1"].failure == seen["given-units-129"].failure == "wrong shape"
    assert seen["given-batch-1"].reason == (
        "'directions[0].final_c' has the shape [3, 1], not [1, 3]"
    )
    # Three sequences of three units: the shape is right, and the numbers are not.
    assert (seen["given"].first.array, seen["given"].first.unit) == ("final_c", 1)


@pytest.mark.parametrize(
    ("fault", "failure", "seen"),
    [
        ("talks", "no JSON", "'loading the model ...'"),
        ("ragged", "wrong shape", "'directions[0].final_m' "),
        ("other", "no answer", "an answer to 'lstm/other/one', not to this case"),
        ("dies", "no answer",
         "it ended with exit code 1 without an answer; its stderr: the fifth step failed"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_a_verdict_on_that_case_alone(fault, failure, seen):
    report = rnnscope.conform(command(fault), only="lstm/sizes/[bs]*")
    failed = [case for case in report.cases if case.status == "failed"]
    assert {case.failure for case in failed} == {failure}
    assert all(case.reason.startswith(seen) for case in failed), failed
    if fault == "dies":
        assert {case.case for case in failed} == {
            "lstm/sizes/steps-1", "lstm/sizes/steps-1-batch-1-units-1",
        }  # fmt: skip
        assert {case.status for case in report.cases} == {"agree", "failed"}
    else:
        assert len(failed) == len(report.cases)


def test_a_program_that_does_not_answer_in_time_is_ended_and_started_again():
    report = rnnscope.conform(command("hangs"), only="lstm/sizes/steps-*", time_limit=4)
    assert [(case.case, case.status, case.reason) for case in report.cases] == [
        ("lstm/sizes/steps-1", "agree", ""),
        ("lstm/sizes/steps-1-batch-1-units-1", "failed", "no answer within 4 s"),
        ("lstm/sizes/steps-40", "agree", ""),
    ]


@pytest.mark.parametrize(
    ("words", "only"),
    [
        # A case of 512 units is larger than a pipe holds.
        (["sleep", "30"], "lstm/sizes/units-512"),
        (["sh", "-c", "sleep 30 & cat > /dev/null"], "lstm/sizes/units-3"),
    ],
    ids=["does not read", "leaves a child behind"],
)
def test_no_program_holds_the_run_up_beyond_its_time(words, only):
    began = time.monotonic()
    (case,) = rnnscope.conform(words, only=only, time_limit=1).cases
    assert (case.status, case.reason) == ("failed", "no answer within 1 s")
    assert time.monotonic() - began < 20


def test_words_where_numbers_should_be():
    report = rnnscope.conform(command("words"), only="lstm/sizes/batch-1")
    assert [case.failure for case in report.cases] == ["no numbers"]


def test_nan_is_wrong_where_it_stands():
    (case,) = rnnscope.conform(command("nan"), only="lstm/sizes/batch-9").cases
    assert (case.status, case.first.array, case.error) == ("differs", "final_c", float("inf"))
    assert case.first.found != case.first.found


def test_a_program_that_answers_one_case_and_ends_is_started_again():
    report = rnnscope.conform(command("once"), only="rnn/layout")
    assert [case.status for case in report.cases] == ["agree"] * 4


def test_a_program_that_cannot_be_started_is_trouble():
    with pytest.raises(rnnscope.RnnscopeError, match="cannot be started") as error:
        rnnscope.conform(["no-such-program-anywhere"])
    assert error.value.exit_code == 2


def test_what_a_framework_raises_is_told_of_its_case(monkeypatch):
    from rnnscope.conforming.engines.rnnscope_engine import RnnscopeEngine

    def run(self, case):
        if case.dtype == "float16":
            raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'")
        raise RuntimeError("out of\n tune")

    monkeypatch.setattr(RnnscopeEngine, "run", run)
    report = rnnscope.conform("rnnscope", only="lstm/dtypes/float[13]*-units-129")
    assert [(case.status, case.failure, case.reason) for case in report.cases] == [
        ("not offered", None, "it says: \"addmm_impl_cpu_\" not implemented for 'Half'"),
        ("failed", "error", "RuntimeError: out of tune"),
    ]


@pytest.mark.parametrize(
    ("engine", "settings"),
    [([], {}), (["true"], {"time_limit": 0}), ("rnnscope", {"seed": -1}), ("torhc", {})],
)
def test_what_cannot_be_asked_for(engine, settings):
    with pytest.raises(rnnscope.RnnscopeError):
        rnnscope.conform(engine, **settings)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=2), one, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["case", "directions", "not_offered"]), JSON)
    | st.builds(
        lambda one: {"case": "gru/initial/given", "directions": [one]},
        st.dictionaries(st.sampled_from(["outputs", "final_m", "c"]), JSON),
    )
)
def test_any_answer_is_an_answer_or_says_what_is_wrong_with_it(document):
    try:
        answer = answer_of(GIVEN, document)
    except (Failed, NotOffered):
        return
    assert [set(one) <= {"outputs", "final_m"} for one in answer] == [True]


GIVEN = next(cases(only="gru/initial/given"))


def test_a_function_that_raises():
    def engine(case):
        if case["cell"] == "gru":
            raise NotImplementedError("no GRU yet")
        raise ZeroDivisionError("at step 3")

    report = rnnscope.conform(engine, only="*/bias")
    assert [(case.cell, case.status, case.reason) for case in report.cases] == (
        [("lstm", "failed", "ZeroDivisionError: at step 3")] * 2
        + [("gru", "not offered", "no GRU yet")] * 2
        + [("rnn", "failed", "ZeroDivisionError: at step 3")] * 2
    )
