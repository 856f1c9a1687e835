"""A reduction as Markdown: the text of an issue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rnnscope.comparing.reduction import Reduction
from rnnscope.comparing.reduction_words import headline, place, recomputed
from rnnscope.report.markdown import bullets, escape, table
from rnnscope.wording import printable, shape


def issue(found: Reduction, tolerance: str) -> Iterator[str]:
    """What to paste into an issue, beside the case, a line each.

    Parameters
    ----------
    found : Reduction
        With a case.
    tolerance : str
        What was allowed, in words.
    """
    at = f"{found.array} of unit {found.unit}"
    yield f"### {escape(f'{at} differs by {found.difference:.3g} ({found.cell})')}"
    yield ""
    yield escape(f"Reduced {headline(found)}.")
    yield ""
    yield from table(("", "A", "B"), [(at, f"{found.a:.17g}", f"{found.b:.17g}")])
    source = found.source
    told = [f"{source['checkpoint']} ({source['format']}, {source['framework']})"] if source else []
    sentences = [
        f"where: {found.layer} ({found.cell}), {place(found)}",
        f"tolerance: {tolerance}",
        *(f"model: {one}" for one in told),
        recomputed(found),
        *found.notes,
        "versions: " + ", ".join(f"{name} {number}" for name, number in found.versions.items()),
    ]
    yield from bullets(map(escape, sentences))
    yield ""
    yield escape(f"Attached: {Path(found.case).name}")
    yield ""
    rows = [(one.name, shape(one.shape), one.dtype) for one in found.arrays]
    yield from table(("array", "shape", "dtype"), rows)
    yield ""
    yield "```sh"
    yield from map(printable, found.commands)
    yield "```"
