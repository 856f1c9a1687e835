"""JUnit XML, as CI systems read it: suites of cases, each passed, failed, skipped or in error.

References
----------
https://github.com/testmoapp/junitxml
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Literal
from xml.etree import ElementTree as ET

from rnnscope.deferred_dataclass import dataclass
from rnnscope.wording import printable

Outcome = Literal["passed", "failed", "skipped", "error"]
TAGS: dict[Outcome, str] = {"failed": "failure", "skipped": "skipped", "error": "error"}


@dataclass(frozen=True)
class JUnitCase:
    """One test case.

    Attributes
    ----------
    name, group : str
        Its name, and the ``classname`` that viewers sort by.
    outcome : Outcome
    message : str
        One line on why it did not pass.
    details : str
        Any number of lines below it.
    seconds : float
    """

    name: str
    group: str
    outcome: Outcome = "passed"
    message: str = ""
    details: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class JUnitSuite:
    """Cases that belong together; `properties` say what was tested."""

    name: str
    cases: tuple[JUnitCase, ...]
    properties: dict[str, str] = field(default_factory=dict)


def render_junit(suites: Sequence[JUnitSuite], name: str = "rnnscope") -> str:
    """A whole document, indented, with a newline at the end."""
    root = ET.Element("testsuites", _counts([case for suite in suites for case in suite.cases]))
    root.set("name", printable(name))
    for suite in suites:
        _add_suite(root, suite)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode", short_empty_elements=True)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_suite(root: ET.Element, suite: JUnitSuite) -> None:
    element = ET.SubElement(root, "testsuite", _counts(suite.cases))
    element.set("name", printable(suite.name))
    if suite.properties:
        holder = ET.SubElement(element, "properties")
        for name, value in suite.properties.items():
            ET.SubElement(holder, "property", name=printable(name), value=printable(value))
    for case in suite.cases:
        _add_case(element, case)


def _add_case(suite: ET.Element, case: JUnitCase) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        name=printable(case.name),
        classname=printable(case.group),
        time=f"{case.seconds:.3f}",
    )
    if case.outcome == "passed":
        if case.details:
            ET.SubElement(element, "system-out").text = _text(case.details)
        return
    result = ET.SubElement(element, TAGS[case.outcome], message=printable(case.message))
    result.text = _text(case.details) or None


def _counts(cases: Sequence[JUnitCase]) -> dict[str, str]:
    outcomes = [case.outcome for case in cases]
    return {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count("failed")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _text(details: str) -> str:
    """Lines without what XML 1.0 cannot hold."""
    return "\n".join(printable(line) for line in details.splitlines())
