"""The judge's loop, without a confusion, is what rnnscope computes: two codes, one recurrence."""

from __future__ import annotations

import numpy as np
import pytest
from explaining.confused_loop import run
from explaining.small_models import SUBJECTS

import rnnscope


@pytest.mark.parametrize("name", SUBJECTS)
def test_without_confusion_the_loop_is_rnnscopes_run(tmp_path, name):
    subject = SUBJECTS[name]
    expected = run(subject.model, subject.x, subject.lengths)
    path = subject.write(tmp_path)
    with rnnscope.run(path, subject.x, **subject.run_options) as trace:
        found = dict(trace.layers)
        merged = subject.names[-1][0].removesuffix("/forward")
        np.testing.assert_allclose(found[merged].outputs, expected.outputs, atol=2e-6)
        for level, names in zip(expected.levels, subject.names, strict=True):
            for layer, named in zip(level, names, strict=True):
                states = found[named]
                if "gru" not in name:
                    np.testing.assert_allclose(states.c, layer.c, atol=2e-6)
                    np.testing.assert_allclose(states.final["c"], layer.final_c, atol=2e-6)
                np.testing.assert_allclose(states.m, layer.m, atol=2e-6)
                np.testing.assert_allclose(states.outputs, layer.outputs, atol=2e-6)
                np.testing.assert_allclose(states.final["m"], layer.final_m, atol=2e-6)
