"""JUnit XML: well-formed whatever is in it, with the counts that CI systems read."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from rnnscope.report.junit import JUnitCase, JUnitSuite, render_junit

CASES = (
    JUnitCase("good", "layer", details="measured: 0"),
    JUnitCase(
        "bad", "layer", "failed", 'too <far> & "away"', "line one\nline \x00two\x1b[31m", 0.5
    ),
    JUnitCase("left", "layer", "skipped", "needs lengths"),
    JUnitCase("broken", "layer", "error", "no file"),
)


def test_counts_and_contents():
    text = render_junit([JUnitSuite("suite", CASES, {"command": "a & b"})])
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites')
    root = ET.fromstring(text)  # noqa: S314  # our own
    suite = root.find("testsuite")
    for element in (root, suite):
        assert [element.get(key) for key in ("tests", "failures", "errors", "skipped", "time")] == [
            "4", "1", "1", "1", "0.500",
        ]  # fmt: skip
    failure = suite.find("testcase/failure")
    assert failure.get("message") == 'too <far> & "away"'
    assert failure.text == "line one\nline two[31m"
    assert suite.find("properties/property").get("value") == "a & b"
    assert suite.find("testcase/system-out").text == "measured: 0"
