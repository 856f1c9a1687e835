"""A trace as a tree of names, with what each layer is and where its options come from."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from rnnscope.deferred_dataclass import dataclass
from rnnscope.seeing.summary import ShownArray, ShownLayer, TraceSummary
from rnnscope.wording import option_value, printable

NARROWEST = 20
"""Columns that an entry is wrapped to, however little room its place leaves."""


@dataclass(frozen=True)
class Guides:
    """What the branches are drawn with: before an entry and below it; before the last one."""

    entry: str
    below: str
    last: str
    blank: str


LINES = Guides("├── ", "│   ", "└── ", "    ")
ASCII = Guides("|-- ", "|   ", "`-- ", "    ")


def tree_lines(trace: TraceSummary, *, width: int, plain: bool) -> Iterator[str]:
    """The tree, a line each; a long entry goes on below itself.

    Parameters
    ----------
    trace : TraceSummary
    width : int
        Columns.
    plain : bool
        Draw with ASCII alone.
    """
    guides = ASCII if plain else LINES
    yield printable(trace.name)
    for number, layer in enumerate(trace.layers):
        last = number == len(trace.layers) - 1
        head, rest = (guides.last, guides.blank) if last else (guides.entry, guides.below)
        yield from _entry(head, rest, layer.name, _layer_words(layer), width)
        entries = list(_inside(layer))
        column = max((len(name) for name, _ in entries), default=0)
        for place, (name, words) in enumerate(entries):
            end = place == len(entries) - 1
            branch = guides.last if end else guides.entry
            below = guides.blank if end else guides.below
            yield from _entry(rest + branch, rest + below, name.ljust(column), words, width)


def _entry(head: str, rest: str, name: str, words: str, width: int) -> Iterator[str]:
    name = printable(name)
    start = f"{head}{name}  " if words else head + name
    if len(start) > width - NARROWEST and words:
        yield head + name
        start = rest
    room = max(NARROWEST, width - len(start))
    parts = wrap(printable(words), room, break_on_hyphens=False) or [""]
    yield (start + parts[0]).rstrip()
    for part in parts[1:]:
        yield rest + " " * (len(start) - len(rest)) + part


def _layer_words(layer: ShownLayer) -> str:
    return ", ".join(part for part in (layer.cell, layer.direction, layer.dtype) if part)


def _inside(layer: ShownLayer) -> Iterator[tuple[str, str]]:
    gates = [array for array in layer.arrays if array.name.startswith("gates/")]
    for array in layer.arrays:
        if array not in gates:
            yield array.name, _array_words(array)
    if gates:
        letters = " ".join(array.name.removeprefix("gates/") for array in gates)
        yield f"gates/{letters}", _array_words(gates[0])
    if layer.ends:
        yield "initial", ", ".join(layer.ends)
        yield "final", ", ".join(layer.ends)
    if layer.inputs:
        yield "reads", ", ".join(layer.inputs)
    for origin in dict.fromkeys(one.origin for one in layer.options):
        values = [one for one in layer.options if one.origin == origin]
        words = ", ".join(f"{one.name} {option_value(one.value)}" for one in values)
        yield f"options ({origin})", words
    if layer.evidence:
        yield "evidence", layer.evidence


def _array_words(array: ShownArray) -> str:
    if array.same_as:
        return f"the same as {array.same_as}"
    sizes = (f"{axis} {size}" for axis, size in zip(array.axes, array.shape, strict=True))
    return " x ".join(sizes)
