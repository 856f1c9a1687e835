"""Checks as annotations of GitHub Actions: workflow commands, one a line.

References
----------
https://docs.github.com/actions/reference/workflow-commands-for-github-actions; the escapes are
those of ``actions/toolkit``, packages/core/src/command.ts. A step shows ten errors and ten
warnings, the rest is dropped without a word, so that no more than ten are written here.
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.checks.result import CheckReport
from rnnscope.report.checking.check_words import bad, sentence
from rnnscope.wording import printable

MOST = 10

LEVELS = {"fail": "error", "warn": "warning"}


def render(report: CheckReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """At most `MOST` lines: subjects that could not be checked, failures, then warnings.

    Where there are more, the last line says how many stand in the step's summary alone.
    """
    lines = list(_lines(report))
    if len(lines) > MOST:
        left = len(lines) - MOST + 1
        lines = [*lines[: MOST - 1], _command("notice", "rnnscope check", _more(left))]
    return "".join(f"{line}\n" for line in lines)


def _more(count: int) -> str:
    return f"{count} more findings stand in the summary of this step"


def _lines(report: CheckReport) -> Iterator[str]:
    for subject in report.subjects:
        if subject.error:
            yield _command("error", f"rnnscope: {subject.name}", subject.error)
    for subject, finding in bad(report):
        title = f"rnnscope {finding.check}: {subject.name}"
        yield _command(LEVELS[finding.status], title, f"{finding.layer}: {sentence(finding)}")


def _command(level: str, title: str, message: str) -> str:
    lines = "\n".join(printable(line) for line in message.splitlines())
    return f"::{level} title={escape_property(printable(title))}::{escape_data(lines)}"


def escape_data(text: str) -> str:
    """A message, as the runner unescapes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """A property, which ends at a colon or comma."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")
