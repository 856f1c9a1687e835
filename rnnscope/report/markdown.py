"""The few building blocks of a report in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rnnscope.wording import printable


def bullets(entries: Iterable[str]) -> Iterator[str]:
    """A list below an empty line; nothing for none. The entries are Markdown already."""
    for number, entry in enumerate(entries):
        if not number:
            yield ""
        yield f"- {entry}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; cells are taken literally."""
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
