"""Findings in every format: text, JSON with its schema, Markdown, JUnit, GitHub annotations."""

from __future__ import annotations

import json
from dataclasses import replace
from math import nan
from xml.etree import ElementTree as ET

import pytest

from rnnscope.checks.interface import Finding, StatePlace
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.checks.result import CheckReport, Subject
from rnnscope.report.check_github import MOST, escape_data, escape_property
from rnnscope.report.json_schemas import report_schema

FAILED = Finding(
    "last-output-is-m", "rnn/lstm", "fail", "the output is not m", 0.25, 0.0, StatePlace(1, 6, 3)
)
WARNED = Finding("input-tail", "rnn/lstm", "warn", "runs through zeros", 1.0, 0.0, StatePlace(1, 6))
PASSED = Finding("finite", "rnn/lstm", "pass", "every value is finite", 0.0, 0.0)
SKIPPED = Finding("golden", "rnn/lstm", "skip", "needs a stored trace (--golden)")
MIXED = Subject(
    "trace.h5", "model.ckpt", "x.npy", (FAILED, WARNED, PASSED, SKIPPED),
    (PaddingVerdict("rnn/lstm", "no lengths: every step was computed"),), ("A note.",), seconds=0.5,
)  # fmt: skip
BROKEN = Subject("gone.h5", error="The trace is missing.\n  where: gone.h5\n  next: look")
REPORT = CheckReport("rnnscope check trace.h5 gone.h5", (MIXED, BROKEN))


@pytest.mark.parametrize(
    ("subjects", "status"),
    [
        ((), "skip"),
        ((replace(MIXED, findings=(SKIPPED,)),), "skip"),
        ((replace(MIXED, findings=(SKIPPED, PASSED)),), "pass"),
        ((replace(MIXED, findings=(WARNED, PASSED)),), "warn"),
        ((MIXED,), "fail"),
        ((MIXED, BROKEN), "error"),
    ],
)
def test_the_worst_status_is_that_of_the_whole(subjects, status):
    assert CheckReport("", subjects).status == status


def test_text_word_for_word():
    assert (
        REPORT.render("text", width=90)
        == """\
checked  trace.h5
from     model.ckpt over x.npy

checks
status  check               measured  limit  where
fail    last-output-is-m        0.25      0  [1, 6, 3]
warn    input-tail        1 sequence      0  [1, 6]
pass    finite              0 values      0

fail    last-output-is-m: the output is not m (sequence 1, timestep 6, unit 3)
        Look for a wrapper between cell and outputs (projection, dropout, residual), a
        state read in the order (h, c), or lengths that differ from those the layer was
        given.
warn    input-tail: runs through zeros (sequence 1, timestep 6)
        If the zero rows are padding, give shorter --lengths (or --lengths auto); if they
        are data, all is well.

skipped
  - golden: needs a stored trace (--golden)

padding
  - rnn/lstm: no lengths: every step was computed

notes
  - A note.

checked  gone.h5
error    The trace is missing.

2 subjects: 1 failed, 1 warned, 1 passed, 1 skipped, 1 could not be checked
"""
    )


def test_markdown_escapes_what_it_would_read_as_marks():
    text = CheckReport("", (replace(MIXED, name="a_b|c.h5"),)).render("markdown")
    assert "#### a\\_b\\|c.h5: fail" in text
    assert "| fail | last-output-is-m | rnn/lstm | 0.25 | 0 | \\[1, 6, 3\\] |" in text


@pytest.mark.parametrize("report", [REPORT, CheckReport("", ()), CheckReport("", (MIXED,))])
def test_json_is_what_its_schema_says(report):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(report_schema("check"))
    told = json.loads(report.render("json"))
    jsonschema.validate(told, report_schema("check"))
    assert told == report.to_dict()


def test_the_schema_refuses_what_is_none():
    jsonschema = pytest.importorskip("jsonschema")
    for change in ({"status": "fine"}, {"schema_version": 2}, {"subjects": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**REPORT.to_dict(), **change}, report_schema("check"))


def test_the_schema_knows_every_key():
    """Also where jsonschema is not installed."""
    told = REPORT.to_dict()
    known = report_schema("check")
    assert set(told) == set(known["properties"]) == set(known["required"])
    subject = known["$defs"]["Subject"]
    assert set(told["subjects"][0]) == set(subject["properties"]) == set(subject["required"])
    finding = known["$defs"]["Finding"]
    assert set(told["subjects"][0]["findings"][0]) == set(finding["properties"])


def test_nan_is_a_word_in_json():
    report = CheckReport("", (replace(MIXED, findings=(replace(FAILED, measured=nan),)),))
    told = json.loads(report.render("json"))
    assert told["subjects"][0]["findings"][0]["measured"] == "NaN"


# What Jenkins' xunit plugin lets pass (its junit-10.xsd, "xunit2"): children and attributes.
XUNIT_CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "properties": {"property"},
    "testcase": {"skipped", "error", "failure", "system-out", "system-err", "properties"},
}
XUNIT_ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors", "skipped"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message"},
    "error": {"message"},
    "skipped": {"message"},
    "property": {"name", "value"},
}


def assert_xunit(element):
    assert set(element.attrib) <= XUNIT_ATTRIBUTES.get(element.tag, set()), element.tag
    assert {child.tag for child in element} <= XUNIT_CHILDREN.get(element.tag, set()), element.tag
    for child in element:
        assert_xunit(child)


def test_junit_tells_false_from_impossible_and_from_not_applicable():
    root = ET.fromstring(REPORT.render("junit").encode())  # noqa: S314  # our own
    assert_xunit(root)
    assert root.attrib == {
        "name": "rnnscope check", "tests": "5", "failures": "1", "errors": "1", "skipped": "1",
        "time": "0.500",
    }  # fmt: skip
    found = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert found == {
        "last-output-is-m": ["failure"],
        "input-tail": ["system-out"],
        "finite": [],
        "golden": ["skipped"],
        "checked": ["error"],
    }
    failure = root.find(".//failure")
    assert failure.get("message") == "the output is not m"
    assert "sequence 1, timestep 6, unit 3" in failure.text


def test_xunit_is_told_from_other_xml():
    text = "<testsuites><testcase name='a'/></testsuites>"
    other = ET.fromstring(text)  # noqa: S314  # our own
    with pytest.raises(AssertionError):
        assert_xunit(other)


def test_annotations_word_for_word():
    assert REPORT.render("github") == (
        "::error title=rnnscope%3A gone.h5::"
        "The trace is missing.%0A  where: gone.h5%0A  next: look\n"
        "::error title=rnnscope last-output-is-m%3A trace.h5::rnn/lstm: the output is not m "
        "(measured 0.25, limit 0, sequence 1, timestep 6, unit 3)\n"
        "::warning title=rnnscope input-tail%3A trace.h5::rnn/lstm: runs through zeros "
        "(measured 1 sequence, limit 0, sequence 1, timestep 6)\n"
    )


@pytest.mark.parametrize(
    ("text", "data", "prop"),
    [
        ("50% a\r\nb", "50%25 a%0D%0Ab", "50%25 a%0D%0Ab"),
        ("a: b, c", "a: b, c", "a%3A b%2C c"),
        ("%0A", "%250A", "%250A"),
    ],
)
def test_escapes(text, data, prop):
    assert (escape_data(text), escape_property(text)) == (data, prop)


def test_no_more_annotations_than_github_shows():
    """The last one says how many stand in the summary alone; failures come before warnings."""
    many = replace(MIXED, findings=(WARNED,) * 8 + (FAILED,) * 6)
    lines = CheckReport("", (many,)).render("github").splitlines()
    assert len(lines) == MOST
    assert [line.partition(" ")[0] for line in lines] == (
        ["::error"] * 6 + ["::warning"] * 3 + ["::notice"]
    )
    assert lines[-1].endswith("::5 more findings stand in the summary of this step")
    name = replace(many, name="a\n::error::b", findings=(FAILED,))
    assert len(CheckReport("", (name,)).render("github").splitlines()) == 1
