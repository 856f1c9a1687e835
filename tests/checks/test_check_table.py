"""What every entry of CHECKS promises."""

from __future__ import annotations

import re

import pytest

from rnnscope.checks import CHECKS, REQUIREMENTS


@pytest.mark.parametrize(("name", "check"), CHECKS.items(), ids=CHECKS)
def test_entry(name, check):
    assert check.id == name
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    assert check.title[0].isupper() or check.title[0] in "|mc"
    assert check.advice.endswith(".")
    assert len(check.title) <= 80
    assert set(check.requires) <= set(REQUIREMENTS)
    assert callable(check.function)


def test_ids_are_unique():
    assert len({id(check.function) for check in CHECKS.values()}) == len(CHECKS)
