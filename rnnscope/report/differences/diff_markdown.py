"""A comparison as Markdown, for a comment or the summary of a CI job."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.comparing.reduction_words import PRIVACY
from rnnscope.comparing.reduction_words import headline as reduction_headline
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
from rnnscope.report.differences.reduction_markdown import issue
from rnnscope.report.markdown import bullets, escape, table
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
    yield from bullets(map(escape, entries))
    yield ""
    yield escape(RELATIVE)
    if result.explain:
        yield ""
        yield "Why they differ:"
        yield ""
        yield f"    {printable(result.explain)}"
    if result.reduced is not None:
        yield ""
        if result.reduced.case:
            yield from issue(result.reduced, result.tolerance)
            yield ""
            yield escape(PRIVACY)
        else:
            yield escape(reduction_headline(result.reduced))


def _layer(layer: LayerDiff) -> Iterator[str]:
    yield f"#### {escape(layer_title(layer))}"
    yield ""
    yield from table(COLUMNS, [row(array) for array in layer.arrays])
    if layer.options:
        yield ""
        body = [(option.name, option.a, option.a_origin, option.b, option.b_origin)
                for option in layer.options]  # fmt: skip
        yield from table(("option", "A", "origin", "B", "origin"), body)
    sentences = [f"**{escape(array.name)}**: {escape(entry)}" for array in layer.arrays
            if array.verdict == "differ" for entry in details(array)]  # fmt: skip
    sentences += [f"**{escape(hint)}**" for hint in layer.hints]
    if layer.not_compared:
        sentences.append(f"not compared: {escape(', '.join(layer.not_compared))}")
    yield from bullets(sentences)
