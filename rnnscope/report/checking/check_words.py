"""Findings of checks as words and columns, the same in every format."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.checks import CHECKS
from rnnscope.checks.interface import Check, Finding, index
from rnnscope.checks.result import CheckReport, Subject
from rnnscope.checks.streamed import StreamCheck, stream_check
from rnnscope.checks.weights import WEIGHT_CHECKS, WeightCheck
from rnnscope.errors import spelled
from rnnscope.wording import number, plural, printable

COLUMNS = ("status", "check", "layer", "measured", "limit", "where")

STATUS_WORDS = {
    "pass": "passed",
    "warn": "warned",
    "fail": "failed",
    "skip": "skipped",
    "error": "could not be checked",
}


def check_named(name: str) -> Check | WeightCheck | StreamCheck | None:
    """The check of this id, of states, weights or streams; None if there is none."""
    return CHECKS.get(name) or WEIGHT_CHECKS.get(name) or stream_check(name)


def measured(finding: Finding) -> str:
    """The number that decides: a count with its noun, or a value."""
    check = check_named(finding.check)
    if finding.measured is None or check is None or not check.counted:
        return number(finding.measured)
    return plural(int(finding.measured), check.counted.removesuffix("s"))


def cells(finding: Finding) -> tuple[str, ...]:
    """A row under `COLUMNS`."""
    return (
        finding.status,
        finding.check,
        finding.layer,
        measured(finding),
        number(finding.limit),
        index(finding.place),
    )


def sentence(finding: Finding) -> str:
    """What a finding says, with its numbers and place, on one line."""
    numbers = (("measured", measured(finding)), ("limit", number(finding.limit)))
    details = [f"{label} {value}" for label, value in numbers if value]
    details += [str(finding.place)] if finding.place else []
    return printable(f"{finding.message} ({', '.join(details)})" if details else finding.message)


def advice(finding: Finding) -> str:
    """What to look at when a check fails; empty if it is unknown."""
    check = check_named(finding.check)
    return spelled(check.advice) if check else ""


def bad(report: CheckReport) -> Iterator[tuple[Subject, Finding]]:
    """Findings that failed, then those that warned, with what they are of."""
    for status in ("fail", "warn"):
        for subject in report.subjects:
            for finding in subject.findings:
                if finding.status == status:
                    yield subject, finding


def headline(report: CheckReport) -> str:
    """``2 traces: 14 passed, 1 failed, 3 skipped``; how the whole ended."""
    counts = {status: count for status, count in report.counts.items() if count}
    parts = [f"{count} {STATUS_WORDS[status]}" for status, count in counts.items()]
    return f"{plural(len(report.subjects), 'subject')}: {', '.join(parts) or 'nothing was checked'}"
