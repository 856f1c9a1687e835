"""A file of arrays as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.record.results.file_contents import FileOfArrays
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import lines, pairs, table
from rnnscope.wording import number, shape

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = ("array", "shape", "dtype", "smallest", "largest", "not finite", "taken for")


def render(found: FileOfArrays, *, width: int = 100, color: bool = False) -> str:
    """The file as text: a row for each array, and what is to be known of them."""
    return text_of(_parts(found), width=width, color=color)


def _parts(found: FileOfArrays) -> Iterator[RenderableType]:
    yield pairs([("file", f"{found.path} ({found.kind})")])
    rows = [
        [
            array.name or "-",
            shape(array.shape),
            array.dtype,
            number(array.minimum),
            number(array.maximum),
            str(array.not_finite),
            array.role,
        ]
        for array in found.arrays
    ]
    yield table(COLUMNS, rows, right={"smallest", "largest", "not finite"}, fold={"array"})
    if found.notes:
        yield lines("notes", found.notes)
