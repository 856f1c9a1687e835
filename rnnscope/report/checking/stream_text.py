"""Outputs that somebody streamed, in the text report of checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.checks.streamed import StreamedOutputs
from rnnscope.report.text_blocks import lines, pairs
from rnnscope.wording import number, plural

if TYPE_CHECKING:
    from rich.console import RenderableType


def stream_part(found: StreamedOutputs) -> Iterator[RenderableType]:
    """What was compared, where it parts, which faults give it and what to change there."""
    yield pairs(list(_head(found)))
    if found.faults:
        yield lines("what to change", dict.fromkeys(fault.advice for fault in found.faults))


def _head(found: StreamedOutputs) -> Iterator[tuple[str, str]]:
    yield "streamed", found.reference
    for words in found.compared:
        yield "compared", words
    if found.first_step is not None:
        sequence = f", first in sequence {found.first_sequence}"
        yield "parts", f"from timestep {found.first_step} on{sequence}"
    yield (
        "difference",
        (f"{number(found.difference)} of the largest value; {number(found.limit)} is rounding"),
    )
    if found.verdict == "several":
        for fault in found.faults:
            yield "fits", fault.words
    if found.nearest is not None:
        yield "nearest", f"{found.nearest.words}: right up to timestep {found.nearest_until}"
    if found.tried:
        yield "tried", plural(found.tried, "streamer")
