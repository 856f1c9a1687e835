"""What an implementation made of vectors, as Markdown, for an issue or a comment."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.report.explanations.explain_words import reading_words
from rnnscope.report.markdown import bullets, escape, table
from rnnscope.report.vectors.vectors_words import (
    case_words,
    explained_words,
    missing_words,
    verdict_words,
)
from rnnscope.vectors.result import VectorsCheck


def render(found: VectorsCheck, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The same as Markdown; `width` and `color` change nothing."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: VectorsCheck) -> Iterator[str]:
    yield f"### rnnscope check --vectors: {escape(verdict_words(found))}"
    yield ""
    yield f"- theirs: {escape(found.theirs)}"
    yield f"- vectors: {escape(found.vectors)}"
    yield ""
    body = [(case.status, case.name, case_words(case)) for case in found.cases]
    yield from table(("status", "case", "first wrong"), body)
    for one in found.agreed:
        yield ""
        yield f"**{escape(reading_words(one.reading))}**: {escape(one.advice)}"
    if not found.agreed:
        for case in found.explained:
            yield ""
            yield f"**{escape(case.case)}**"
            yield from bullets(map(escape, explained_words(case)))
    yield from bullets(escape(f"not there: {words}") for words in missing_words(found))
    yield from bullets(map(escape, found.notes))
