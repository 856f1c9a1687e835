"""What a page holds, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.seeing.page.result import PageReport
from rnnscope.wording import printable, some


def render(done: PageReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The file and its size, how each array is held, and what was left out; a line each."""
    return "".join(f"{printable(line)}\n" for line in _lines(done))


def _lines(done: PageReport) -> Iterator[str]:
    yield f"wrote {done.path} ({done.size / 1e6:.1f} MB)"
    alike: dict[tuple[str, str], list[str]] = {}
    for one in done.arrays:
        alike.setdefault((one.layer, one.words), []).append(one.array)
    for (layer, words), arrays in alike.items():
        yield f"  {layer}: {some(arrays, most=8)}: {words}"
    yield from (f"compared: {path}" for path in done.compared)
    yield from (f"picture: {path}" for path in done.pictures)
    yield from (f"note: {note}" for note in done.notes)
