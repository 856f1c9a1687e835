"""The parts of a page about differences: of traces, and of two checkpoints' weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from rnnscope.comparing.result import DiffResult, LayerDiff
from rnnscope.comparing.wording import (
    COLUMNS,
    NUMBERS,
    RELATIVE,
    details,
    headline,
    layer_title,
    operand,
    outputs_alone,
    row,
    unread,
)
from rnnscope.report.page.markup import bullets, element, pairs, section, table
from rnnscope.seeing.divergence import FirstDivergence
from rnnscope.seeing.page.contents import LayerWeights, OtherTrace, WeightDifference
from rnnscope.wording import number, shape


def differences(others: Sequence[OtherTrace], pictures: Element | None) -> Element:
    """How each other trace differs from the first, with pictures between."""
    parts: list[Element] = []
    for other in others:
        parts.append(element("h3", f"A and {other.name}: {other.path}"))
        parts += _headline(other.result)
        if other.first is not None:
            parts.append(element("p", _first(other.first, other.name), class_="first"))
    if pictures is not None:
        parts.append(pictures)
    for other in others:
        title = f"{other.name}: every array"
        parts.append(
            element(
                "details",
                element("summary", title),
                *_result(other.result, f"A and {other.name}: "),
            )
        )
    return section("differences", "Differences", *parts)


def _headline(result: DiffResult) -> Iterator[Element]:
    badge = element("strong", result.verdict, class_=f"badge {result.verdict}")
    words = headline(result).partition(": ")[2]
    yield element("p", badge, f" {words}")


def _first(first: FirstDivergence, name: str) -> str:
    gate = f"; {first.gate}" if first.gate else ""
    return (
        f"They part first in {first.array} of {first.layer_a} at sequence {first.sequence}, "
        f"timestep {first.timestep}, unit {first.unit}: A {first.a:.9g}, "
        f"{name} {first.b:.9g}{gate}."
    )


def _result(result: DiffResult, before: str) -> Iterator[Element]:
    yield pairs(
        [("A", operand(result.a)), ("B", operand(result.b)), ("tolerance", result.tolerance)]
    )
    for layer in result.layers:
        yield from _layer(layer, before)
    lines = [f"{name}: only in A" for name in result.only_a]
    lines += [f"{name}: only in B" for name in result.only_b]
    lines += [*result.differences, *unread(result), *result.notes, *outputs_alone(result)]
    lines += [f"A: {note}" for note in result.a.notes] + [f"B: {note}" for note in result.b.notes]
    yield bullets([*lines, RELATIVE])


def _layer(layer: LayerDiff, before: str) -> Iterator[Element]:
    title = before + layer_title(layer)
    rows = [(cells[1], cells[0], *cells[2:]) for cells in map(row, layer.arrays)]
    columns = (COLUMNS[1], COLUMNS[0], *COLUMNS[2:])
    yield table(title, columns, rows, numbers=frozenset(NUMBERS))
    if layer.options:
        body = [(one.name, one.a, one.a_origin, one.b, one.b_origin) for one in layer.options]
        yield table(f"Options of {title}", ("option", "A", "origin", "B", "origin of B"), body)
    lines = [
        f"{array.name}: {line}"
        for array in layer.arrays
        if array.verdict == "differ"
        for line in details(array)
    ]
    lines += layer.hints
    if layer.not_compared:
        lines.append("not compared: " + ", ".join(layer.not_compared))
    if lines:
        yield bullets(lines)


def weights(difference: WeightDifference, pictures: Element | None) -> Element:
    """Two checkpoints: how much each gate's part of each weight differs."""
    result = difference.result
    parts = [*_headline(result), pairs([("A", operand(result.a)), ("B", operand(result.b))])]
    parts += [_blocks(layer) for layer in difference.layers]
    if pictures is not None:
        parts.append(pictures)
    whole = element("details", element("summary", "Every weight"), *_result(result, "weights of "))
    return section("weights", "Weights", *parts, whole)


def _blocks(layer: LayerWeights) -> Element:
    """A row a weight, a column a gate: the largest difference, and how large it is beside A."""
    gates = list(dict.fromkeys(block.gate for weight in layer.weights for block in weight.gates))
    rows = []
    for weight in layer.weights:
        cells = {block.gate: block for block in weight.gates}
        words = [
            "" if (cell := cells.get(gate)) is None
            else f"{number(cell.max_abs)} ({_percent(cell.relative)})"
            for gate in gates
        ]  # fmt: skip
        rows.append((weight.name, shape(weight.shape), *words))
    names = layer.a if layer.a == layer.b else f"{layer.a} <> {layer.b}"
    columns = ("weight", "shape", *(gate or "whole" for gate in gates))
    caption = f"{names}: largest |A − B|, and the norm of A − B over that of A"
    return table(caption, columns, rows, numbers=frozenset(columns[2:]))


def _percent(share: float | None) -> str:
    return "A is zero" if share is None else f"{number(100 * share)} %"
