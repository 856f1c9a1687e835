"""Mistakes of public threads: `explain` names each, and nothing else."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from explaining.real_cases import CASES

import rnnscope


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_case_is_built_as_it_should_be(tmp_path, case):
    """A reference differs from the model's own states; the mended program's does not."""
    given = case.make(tmp_path)
    if given.right is None:
        return
    trace = rnnscope.run(given.checkpoint, given.input, **given.options)
    assert rnnscope.diff(trace, given.right, padding=True, atol=2e-6).verdict == "same"


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    """``explained(case)``: what is given, and what is said of it, which several tests ask for."""
    told = {}

    def once(case):
        if case.name not in told:
            given = case.make(tmp_path_factory.mktemp("case"))
            budget = 60 if case.reading else 5  # others may be at work on the machine
            found = rnnscope.explain(
                given.checkpoint, given.input, given.reference, budget=budget, **given.options
            )
            told[case.name] = given, found.to_dict()
        return told[case.name]

    return once


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mistake_is_named_and_nothing_else(explained, case):
    _, told = explained(case)
    readings = [sorted((one["id"], one["value"]) for one in fit["reading"]) for fit in told["fits"]]
    if not case.reading:
        assert (told["verdict"], readings) == ("none", [])
        return
    assert (told["verdict"], readings) == ("one", [sorted(case.reading)])
    (fit,) = told["fits"]
    assert np.isfinite(fit["error"])
    assert fit["command"].startswith("rnnscope run ")
    advice = fit["advice"].lower()
    assert [word for word in case.words if word not in advice] == []


SAYABLE = {"forget-bias", "recurrent-activation", "lengths", "mask"}
"""Ids of what options of a run can say."""


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in CASES
        if case.reading
        and {name for name, _ in case.reading} <= SAYABLE
        # Diff takes final states where the trace's own lengths end, and Y for the state m.
        and case.name not in ("lengths-ignored", "onnxruntime-12492")
    ],
    ids=str,
)
def test_the_command_gives_the_numbers_of_the_reference(tmp_path, explained, rnnscope, case):
    import rnnscope as package

    given, told = explained(case)
    (fit,) = told["fits"]
    words = shlex.split(fit["command"])
    assert words[:2] == ["rnnscope", "run"]
    trace = tmp_path / "same.h5"
    words[words.index("-o") + 1] = str(trace)
    done = rnnscope(*words[1:], "--quiet")
    assert (done.code, done.stderr) == (0, "")
    compared = [
        array
        for layer in package.diff(trace, given.reference, padding=True, atol=2e-6).layers
        for array in layer.arrays
    ]
    assert compared
    assert [array.name for array in compared if array.verdict != "same"] == []
