"""What every entry of REPORTS promises."""

from __future__ import annotations

import json
import re
from importlib import import_module

import pytest

from rnnscope.checks.result import CheckReport
from rnnscope.conforming.result import CaseList, ListedCase
from rnnscope.errors import OptionError
from rnnscope.pooling.result import PoolReport
from rnnscope.printable import REPORTS, formats_of
from rnnscope.record.parts.joining import JoinReport
from rnnscope.record.results.file_contents import (
    ArrayContents,
    CaseContents,
    FileOfArrays,
    SuiteContents,
    TraceContents,
)
from rnnscope.record.results.inspect_report import inspect_report
from rnnscope.record.several_runs import RunOfSeveral, SeveralRuns
from rnnscope.report.errors.error_document import ErrorReport
from rnnscope.seeing.page.result import HeldArray, PageReport
from rnnscope.seeing.picture import PlotReport
from rnnscope.seeing.show import ShownStates
from rnnscope.seeing.summary import TraceSummary
from rnnscope.states.export import ExportArray, ExportResult

from .samples import checkpoint, run
from .test_conform_reports import CONFORMED
from .test_convert_reports import CONVERSION
from .test_diff_reports import RESULT
from .test_explain_reports import SEVERAL
from .test_vectors_reports import CHECKED, VECTORS

HELD = HeldArray("lstm", "c", 1, 3, 3, 2, "float32", "Values as stored (float32).")

SUMMARY = TraceSummary("t.h5", 0, 2, "all", "", "", "", "", "", "", "", (), False, (), ())

RESULTS = {
    "trace": TraceContents(SUMMARY),
    "arrays": FileOfArrays("x.npy", "npy", (ArrayContents("", (1, 2), "float32"),)),
    "suite": SuiteContents("s.toml", (CaseContents("one", "m.ckpt x.npy", 22),)),
    "error": ErrorReport("rnnscope", "InputError", "It is not there."),
    "run": run(),
    "runs": SeveralRuns("", "m.ckpt", (RunOfSeveral("x.npy", "x.trace.h5", report=run()),)),
    "join": JoinReport("", "t.h5", 2, 8, ("lstm",), 2048, 1024, "t.h5.parts"),
    "inspect": inspect_report(checkpoint()),
    "check": CheckReport("rnnscope check", ()),
    "diff": RESULT,
    "explain": SEVERAL,
    "page": PageReport("p.html", 9, ("lstm",), (HELD,), (), ()),
    "pool": PoolReport("rnnscope pool", "t.h5", 1, 2, "all", "t.h5::/pooled", ()),
    "plot": PlotReport("heatmap", "x.png", 4.0, 3.0, 100, ("a note",)),
    "show": ShownStates(SUMMARY),
    "vectors": VECTORS,
    "vectors-check": CHECKED,
    "convert": CONVERSION,
    "conform": CONFORMED,
    "cases": CaseList(0, "*", (ListedCase("lstm/a/b", "float32", 3, 4, 2, 5),)),
    "export": ExportResult(
        "t.h5", "keras", "t.npz", (ExportArray("c", (1, 2), "float32"),), (), ()
    ),
}
"""A result of every kind."""


def test_every_kind_is_tried():
    assert {kind for kind, _ in REPORTS} == RESULTS.keys()


@pytest.mark.parametrize(("kind", "name"), REPORTS, ids="-".join)
def test_rendering_is_pure_and_ends_in_a_newline(kind, name, capsys):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
    result = RESULTS[kind]
    text = result.render(name, width=90, color=False)
    assert text == "" or text.endswith("\n")
    assert result.render(name, width=90, color=False) == text
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("module", sorted(set(REPORTS.values())))
def test_every_module_says_what_it_owns(module):
    assert import_module(f"rnnscope.report.{module}").__doc__


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_prints_what_its_command_prints(kind):
    result = RESULTS[kind]
    assert formats_of(kind)[0] == "text"
    assert f"{result}\n" == result.render("text", width=100, color=False)
    document = result.to_dict()
    assert (document["schema_version"], document["report"]) == (1, kind)
    assert json.loads(result.render("json")) == json.loads(json.dumps(document))


def test_a_format_that_is_not_there_is_named():
    with pytest.raises(OptionError, match="did you mean markdown"):
        RESULT.render("markdwn")
