"""What an implementation made of vectors, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.report.console import text_of
from rnnscope.report.explanations.explain_words import reading_words
from rnnscope.report.text_blocks import heading, lines, pairs, table
from rnnscope.report.vectors.vectors_words import (
    case_words,
    explained_words,
    missing_words,
    verdict_words,
)
from rnnscope.vectors.result import VectorsCheck
from rnnscope.wording import plural

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(found: VectorsCheck, *, width: int = 100, color: bool = False) -> str:
    """The verdict, what is first wrong in each case, and which readings give that."""
    return text_of(_parts(found), width=width, color=color)


def _parts(found: VectorsCheck) -> Iterator[RenderableType]:
    from rich.console import Group

    yield pairs(
        [
            ("verdict", verdict_words(found)),
            ("theirs", found.theirs),
            ("vectors", found.vectors),
            ("tolerance", f"{found.tolerance:g} of the largest value of each array"),
        ]
    )
    rows = [
        (case.status, case.name, plural(len(case.compared), "array"),
         f"{len(case.wrong) + len(case.misshapen)} wrong" if case.status == "fail" else "")
        for case in found.cases
    ]  # fmt: skip
    yield Group(heading("cases"), table(("status", "case", "compared", ""), rows, fold=("case",)))
    wrong = [f"{case.name}: {case_words(case)}" for case in found.cases if case.status == "fail"]
    if wrong:
        yield lines("first wrong", wrong)
    if found.agreed:
        title = "what to change" if len(found.agreed) == 1 else "one of these is to be changed"
        yield lines(title, [f"{reading_words(one.reading)}: {one.advice}" for one in found.agreed])
    else:
        for one in found.explained:
            yield lines(f"explained: {one.case}", explained_words(one))
    missing = list(missing_words(found))
    if missing:
        yield lines("not there", missing)
    if found.notes:
        yield lines("notes", found.notes)
