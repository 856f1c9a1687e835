"""`rnnscope explain` names what was confused, and nothing else, over the whole matrix."""

from __future__ import annotations

import re

import pytest
from explaining.cases import CASES
from explaining.confused_loop import run
from explaining.references import reference
from explaining.small_models import SUBJECTS

import rnnscope

NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def explain(case, folder, **options):
    """What explain says of a case."""
    subject = SUBJECTS[case.subject]
    states = run(subject.model, subject.x, subject.lengths, case.made)
    given = reference(subject, states, case.guise, folder)
    path = subject.write(folder)
    return rnnscope.explain(path, subject.x, given, **subject.run_options, **options).to_dict()


def same_value(found, allowed):
    """Numbers that were solved for need not be round."""
    for value in allowed:
        ours, theirs = (NUMBER.findall(text) for text in (found, value))
        if NUMBER.sub("#", found) == NUMBER.sub("#", value) and len(ours) == len(theirs):
            near = (abs(float(a) - float(b)) < 1e-3 for a, b in zip(ours, theirs, strict=True))
            if all(near):
                return True
    return False


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_confusion_is_named_and_nothing_else(tmp_path, case):
    said = explain(case, tmp_path)
    readings = [{part["id"]: part["value"] for part in fit["reading"]} for fit in said["fits"]]
    assert [set(reading) for reading in readings] == [set(case.made)], said["verdict"]
    assert said["verdict"] == "one"
    for name, value in readings[0].items():
        assert same_value(value, case.allowed(name)), (name, value, case.allowed(name))
