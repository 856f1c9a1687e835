"""A comparison as Markdown, for a comment or the summary of a CI job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnscope.comparing.result import DiffResult, LayerDiff
from rnnscope.comparing.wording import (
    COLUMNS,
    RELATIVE,
    details,
    headline,
    layer_title,
    operand,
    outputs_alone,
    row,
    unread,
)
from rnnscope.wording import printable


def render(result: DiffResult, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The comparison as Markdown; `width` and `color` change nothing."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: DiffResult) -> Iterator[str]:
    yield f"### rnnscope diff: {escape(headline(result))}"
    yield ""
    yield f"- A: {escape(operand(result.a))}"
    yield f"- B: {escape(operand(result.b))}"
    yield f"- tolerance: {escape(result.tolerance)}"
    for layer in result.layers:
        yield ""
        yield from _layer(layer)
    entries = [f"only in A: layer {name}" for name in result.only_a]
    entries += [f"only in B: layer {name}" for name in result.only_b]
    entries += [*result.differences, *result.notes, *outputs_alone(result)]
    entries += [f"not read of {entry}" for entry in unread(result)]
    entries += [f"A: {note}" for note in result.a.notes] + [f"B: {note}" for note in result.b.notes]
    if entries:
        yield ""
        yield from (f"- {escape(entry)}" for entry in entries)
    yield ""
    yield escape(RELATIVE)


def _layer(layer: LayerDiff) -> Iterator[str]:
    yield f"#### {escape(layer_title(layer))}"
    yield ""
    yield from _table(COLUMNS, [row(array) for array in layer.arrays])
    if layer.options:
        yield ""
        body = [(option.name, option.a, option.a_origin, option.b, option.b_origin)
                for option in layer.options]  # fmt: skip
        yield from _table(("option", "A", "origin", "B", "origin"), body)
    said = [f"**{escape(array.name)}**: {escape(entry)}" for array in layer.arrays
            if array.verdict == "differ" for entry in details(array)]  # fmt: skip
    said += [f"**{escape(hint)}**" for hint in layer.hints]
    if layer.not_compared:
        said.append(f"not compared: {escape(', '.join(layer.not_compared))}")
    if said:
        yield ""
        yield from (f"- {entry}" for entry in said)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for cells in rows:
        yield f"| {' | '.join(escape(cell) for cell in cells)} |"


def escape(text: str) -> str:
    """Text that Markdown takes literally."""
    clean = printable(text)
    for mark in "\\`*_<>|[]#":
        clean = clean.replace(mark, f"\\{mark}")
    return clean
