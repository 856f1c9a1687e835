"""Checks as Markdown, for a comment or the summary of a CI job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rnnscope.checks.result import CheckReport, Subject
from rnnscope.report.checking.check_words import COLUMNS, advice, cells, headline, sentence
from rnnscope.report.markdown import bullets, escape, table


def render(report: CheckReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The checks as Markdown; `width` and `color` change nothing."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: CheckReport) -> Iterator[str]:
    yield f"### rnnscope check: {escape(headline(report))}"
    for subject in report.subjects:
        yield ""
        yield from _subject(subject)


def _subject(subject: Subject) -> Iterator[str]:
    yield f"#### {escape(subject.name)}: {subject.status}"
    yield from bullets(escape(line.strip()) for line in subject.error.splitlines())
    if subject.findings:
        yield ""
        yield from table(COLUMNS, map(cells, subject.findings))
    sentences = [
        f"**{escape(finding.check)}** in {escape(finding.layer)}: {escape(sentence(finding))}. "
        f"{escape(advice(finding))}".rstrip()
        for finding in subject.findings
        if finding.status in ("fail", "warn")
    ]
    sentences += [
        f"padding of {escape(one.layer)}: {escape(one.verdict)}" for one in subject.padding
    ]
    sentences += [escape(text) for text in (*subject.changed, *subject.notes)]
    if subject.picture:
        sentences.append(f"first divergence: picture {escape(Path(subject.picture).name)}")
    yield from bullets(sentences)
