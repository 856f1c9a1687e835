"""What an export wrote, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.report.text_blocks import wrapped
from rnnscope.states.export import ExportResult
from rnnscope.wording import plural, printable, shape


def render(done: ExportResult, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The target, its arrays, and what the format cannot hold; a line each."""
    first, *rest = (printable(line) for line in _lines(done))
    return "".join(f"{line}\n" for line in (first, *(wrapped(line, width) for line in rest)))


def _lines(done: ExportResult) -> Iterator[str]:
    arrays = plural(len(done.arrays), "array")
    yield f"wrote {done.target} ({done.format}{f', {arrays}' if done.arrays else ''})"
    yield from (f"  {one.name}: {shape(one.shape)}, {one.dtype}" for one in done.arrays)
    yield from (f"note: {note}" for note in done.notes if note)
    yield from (f"not held: {entry}" for entry in done.lost)
    yield from (f"not read: {array}" for array in done.not_read)
