"""What a reader of another format says, in the words of the format that a file is of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from rnnscope.model.cell import CellSpec, Option

Words = Iterable[tuple[str, str]]
"""Words, and what stands for them; the first that fits comes first."""


def reworded(text: str, words: Words) -> str:
    """A text with other words."""
    for old, new in words:
        text = text.replace(old, new)
    return text


def told_as(cell: CellSpec, words: Words) -> CellSpec:
    """A cell whose class, and where its options are from, are told in other words."""
    options = cell.options
    told: dict[str, Any] = {}
    for field in fields(options):
        option = getattr(options, field.name)
        if isinstance(option, Option):
            told[field.name] = replace(option, detail=reworded(option.detail, words))
    made: CellSpec = replace(
        cell,
        source_class=reworded(cell.source_class, words),
        options=replace(options, **told) if told else options,
    )
    return made
