"""What the matrix asks for can be told: no other reading of as few confusions gives the same.

Pairs are thousands for each model: ``python tests/benchmarks/explain.py --rivals`` goes through
them in some minutes, when cases are added.
"""

from __future__ import annotations

import pytest
from explaining.cases import CASES, PAIRS, SINGLES, TRIPLES
from explaining.rivals import cases_of, rivals
from explaining.small_models import SUBJECTS


@pytest.mark.parametrize("name", cases_of())
def test_no_single_confusion_gives_the_same(tmp_path, name):
    found = list(rivals(SUBJECTS[name], cases_of()[name], (0, 1), tmp_path))
    assert found == []


def test_there_are_as_many_as_were_asked_for():
    assert len(SINGLES) >= 60
    assert len(PAIRS) >= 60
    assert len(TRIPLES) >= 20
    assert len({case.name for case in CASES}) == len(CASES)
