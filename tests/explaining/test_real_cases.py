"""Mistakes of public threads: `explain` names each, and nothing else."""

from __future__ import annotations

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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mistake_is_named_and_nothing_else(tmp_path, case):
    given = case.make(tmp_path)
    found = rnnscope.explain(given.checkpoint, given.input, given.reference, **given.options)
    told = found.to_dict()
    readings = [sorted((one["id"], one["value"]) for one in fit["reading"]) for fit in told["fits"]]
    if not case.reading:
        assert (told["verdict"], readings) == ("none", [])
        return
    assert (told["verdict"], readings) == ("one", [sorted(case.reading)])
    (fit,) = told["fits"]
    assert np.isfinite(fit["error"])
    assert fit["command"].startswith("rnnscope run ")
    assert [word for word in case.words if word not in fit["advice"]] == []
