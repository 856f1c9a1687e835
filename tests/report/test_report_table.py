"""What every entry of REPORTS promises."""

from __future__ import annotations

import re

import pytest

from rnnscope.record.results import inspect_report
from rnnscope.report import REPORTS

from .samples import checkpoint, run


@pytest.mark.parametrize(("name", "entry"), REPORTS.items(), ids=REPORTS)
def test_entry(name, entry):
    assert entry.name == name
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    assert entry.title


@pytest.mark.parametrize("entry", REPORTS.values(), ids=REPORTS)
@pytest.mark.parametrize("report", [run(), inspect_report(checkpoint())], ids=["run", "inspect"])
def test_rendering_is_pure_and_ends_in_a_newline(entry, report, capsys):
    text = entry.render(report, width=90, color=False)
    assert text.endswith("\n")
    assert entry.render(report, width=90, color=False) == text
    assert capsys.readouterr() == ("", "")


def test_text_is_the_default():
    assert next(iter(REPORTS)) == "text"
