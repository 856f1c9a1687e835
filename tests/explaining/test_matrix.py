"""`rnnscope explain` names what was confused, and nothing else, over the whole matrix."""

from __future__ import annotations

import pytest
from explaining.asking import explained, readings_that_fit, same_value
from explaining.cases import CASES
from explaining.small_models import SUBJECTS

BUDGET = 300
"""Seconds: machines that test are busy, and no time is judged here (tests/benchmarks does)."""


def marked(case):
    """Combinations take seconds each."""
    return pytest.param(case, id=case.name, marks=[pytest.mark.slow] if len(case.made) > 1 else [])


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_the_confusion_is_named_and_nothing_else(tmp_path, case):
    said = explained(SUBJECTS[case.subject], case.made, case.guise, tmp_path, budget=BUDGET)
    (reading,) = readings_that_fit(said)
    assert set(reading) == set(case.made)
    assert said["verdict"] == "one"
    for name, value in reading.items():
        assert same_value(value, case.allowed(name)), (name, value, case.allowed(name))
