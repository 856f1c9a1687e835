"""What was written as vectors, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import heading, lines, pairs, table
from rnnscope.report.vectors.vectors_words import (
    covered,
    left_out_lines,
    not_separated_lines,
    size_words,
)
from rnnscope.vectors.result import VectorsReport

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(report: VectorsReport, *, width: int = 100, color: bool = False) -> str:
    """The folder, its cases, and which readings they do not tell apart."""
    return text_of(_parts(report), width=width, color=color)


def _parts(report: VectorsReport) -> Iterator[RenderableType]:
    from rich.console import Group

    total = sum(file.size for file in report.files)
    rounding = f"{report.tolerance:g} of the largest value of each array"
    yield pairs(
        [
            ("wrote", f"{report.target} ({size_words(total)})"),
            ("checkpoint", report.checkpoint),
            ("tolerance", f"{rounding}: rounding in {report.dtype}"),
            ("readings", covered(report)),
        ]
    )
    rows = [
        (
            case.name,
            case.layer or "all layers",
            f"{case.sequences} x {case.timesteps} x {case.inputs}",
            ", ".join(map(str, case.lengths)),
            str(case.units),
        )
        for case in report.cases
    ]
    yield Group(
        heading("cases"),
        table(("case", "layer", "input", "lengths", "units"), rows, right=("units",),
              fold=("case", "layer")),
    )  # fmt: skip
    if report.not_separated:
        yield lines("not told apart", not_separated_lines(report))
    if report.left_out:
        yield lines("without vectors", left_out_lines(report))
    yield lines("files", [f"{file.name} ({size_words(file.size)})" for file in report.files])
    if report.notes:
        yield lines("notes", report.notes)
