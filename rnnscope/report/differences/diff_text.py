"""A comparison as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.comparing.result import DiffResult, LayerDiff
from rnnscope.comparing.wording import (
    COLUMNS,
    NUMBERS,
    RELATIVE,
    details,
    dtypes,
    headline,
    layer_title,
    operand,
    outputs_alone,
    row,
    unread,
)
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import copied, heading, lines, pairs, table

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(result: DiffResult, *, width: int = 100, color: bool = False) -> str:
    """The comparison as text: verdict, operands, a table a layer, and where they part.

    Returns
    -------
    str
        Lines without trailing blanks, with a newline at the end.
    """
    return text_of(_parts(result), width=width, color=color)


def _parts(result: DiffResult) -> Iterator[RenderableType]:
    from rich.text import Text

    style = "bold red"
    if result.verdict == "same":
        style = "bold green" if result.complete else "bold yellow"
    yield Text(headline(result), style=style)
    yield pairs(
        [("A", operand(result.a)), ("B", operand(result.b)), ("tolerance", result.tolerance)]
    )
    for layer in result.layers:
        yield from _layer_parts(layer)
    unmatched = [f"{name}: only in A" for name in result.only_a]
    unmatched += [f"{name}: only in B" for name in result.only_b]
    if unmatched:
        yield lines("layers without a partner", unmatched)
    if result.differences:
        yield lines("other differences", result.differences)
    if not_read := unread(result):
        yield lines("not read", not_read)
    notes = [f"A: {note}" for note in result.a.notes] + [f"B: {note}" for note in result.b.notes]
    notes += [*result.notes, *outputs_alone(result)]
    if any(array.exceed for layer in result.layers for array in layer.arrays):
        notes.append(RELATIVE)
    if notes:
        yield lines("notes", notes)
    if result.explain:
        yield copied("why they differ", result.explain)
    if result.reduced is not None:
        from rnnscope.report.differences.reduction_text import reduction_parts

        yield from reduction_parts(result.reduced, result.tolerance)


def _layer_parts(layer: LayerDiff) -> Iterator[RenderableType]:
    from rich.console import Group

    in_title = [*dict.fromkeys(dtypes(array) for array in layer.arrays)]
    columns: tuple[str, ...] = COLUMNS
    rows = [row(array) for array in layer.arrays]
    tolerances = [*dict.fromkeys(array.tolerance for array in layer.arrays)]
    if len(tolerances) == 1:  # said once, it leaves the columns more room
        in_title += tolerances
        columns, rows = columns[:-1], [cells[:-1] for cells in rows]
    title = ", ".join([layer_title(layer), *in_title])
    yield Group(heading(title), table(columns, rows, right=NUMBERS, fold={"tolerance"}))
    if layer.options:
        body = [(option.name, option.a, option.a_origin, option.b, option.b_origin)
                for option in layer.options]  # fmt: skip
        yield table(["option", "A", "origin", "B", "origin "], body, fold={"A", "B"})
    for array in layer.arrays:
        if array.verdict == "differ":
            yield lines(array.name, details(array))
    if layer.hints:
        yield lines("what it looks like", layer.hints)
    if layer.one_sided:
        yield lines("not compared", [", ".join(layer.not_compared)])
