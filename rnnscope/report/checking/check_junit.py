"""Checks as JUnit XML: a suite for each subject, a case for each check of each layer.

A check that is false is a failure; what could not be checked is an error; a check that does not
apply is skipped. A warning passes, and stands in the case's output.
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.checks.interface import Finding
from rnnscope.checks.result import CheckReport, Subject
from rnnscope.report.checking.check_words import advice, sentence
from rnnscope.report.junit import JUnitCase, JUnitSuite, Outcome, render_junit

OUTCOMES: dict[str, Outcome] = {
    "pass": "passed",
    "warn": "passed",
    "fail": "failed",
    "skip": "skipped",
}


def render(report: CheckReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The checks as JUnit XML; `width` and `color` change nothing."""
    return render_junit([_suite(subject) for subject in report.subjects], "rnnscope check")


def _suite(subject: Subject) -> JUnitSuite:
    properties = {"checkpoint": subject.checkpoint, "input": subject.input}
    properties_known = {name: value for name, value in properties.items() if value}
    return JUnitSuite(subject.name, tuple(_cases(subject)), properties_known)


def _cases(subject: Subject) -> Iterator[JUnitCase]:
    if subject.error:
        first = subject.error.splitlines()[0]
        yield JUnitCase("checked", subject.name, "error", first, subject.error, subject.seconds)
    for number, finding in enumerate(subject.findings):
        # The time is that of the subject, once: it is not known of a single check.
        seconds = 0.0 if number else subject.seconds
        yield _case(finding, seconds)


def _case(finding: Finding, seconds: float) -> JUnitCase:
    outcome = OUTCOMES[finding.status]
    details = "" if finding.status == "pass" else sentence(finding)
    if finding.status in ("fail", "warn"):
        details += f"\n{advice(finding)}"
    if finding.status == "warn":
        details = f"warning: {details}"
    message = "" if outcome == "passed" else finding.message
    return JUnitCase(finding.check, finding.layer, outcome, message, details, seconds)
