"""A run as text: short tables for people, made with rich.

Everything that comes from a file goes through `printable` into a rich Text, which takes it
literally: no control characters, no markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.errors import spell_command
from rnnscope.record.results.run_report import RunReport
from rnnscope.report.checking.findings_text import checks_part, verify_part
from rnnscope.report.console import text_of
from rnnscope.report.contents.layer_tables import checkpoint_words, layers_table, options_parts
from rnnscope.report.text_blocks import lines, pairs
from rnnscope.wording import plural, shape

if TYPE_CHECKING:
    from rich.console import RenderableType


LONGEST_REASON = 30
"""Characters of a reason to leave variables out that a run prints; `inspect` has them all."""


def render(report: RunReport, *, width: int = 100, color: bool = False) -> str:
    """The report as text.

    Parameters
    ----------
    report : RunReport
    width : int
        Columns.
    color : bool
        Whether to write terminal colours; the words say the same without.

    Returns
    -------
    str
        Lines without trailing blanks, with a newline at the end.
    """
    return text_of(_run_parts(report), width=width, color=color)


def _run_parts(report: RunReport) -> Iterator[RenderableType]:
    yield pairs(_run_head(report))
    if report.layers:
        yield layers_table(report.layers)
        yield from options_parts(report.layers)
    if len(report.wiring) > 1:
        yield lines("wiring", report.wiring)
    yield from checks_part(report.findings)
    if report.padding:
        verdicts = [f"{entry.layer}: {entry.verdict}" for entry in report.padding]
        yield lines("padding", verdicts)
    if report.verify:
        yield verify_part(report.verify, report.verified_by)
    if report.notes:
        yield lines("notes", report.notes)


def _run_head(report: RunReport) -> Iterator[tuple[str, str]]:
    yield "checkpoint", checkpoint_words(report.checkpoint)
    source = report.input
    words = f"{source.name}: {shape(source.shape)}, {source.dtype}"
    yield "input", f"{words}, lengths {source.lengths}" if source.lengths else words
    engine = report.engine
    if report.seconds is not None:
        engine += f", {report.seconds:.2f} s"
    if report.steps_per_second is not None:
        engine += f", {report.steps_per_second:,.0f} steps/s"
    yield "engine", engine
    if report.trace is not None:
        yield "trace", report.trace
    if (part := report.part) is not None:
        last = part.first_sequence + part.sequences - 1
        words = f"{part.number} of {part.of}, sequences {part.first_sequence}-{last}"
        yield "part", f"{words}; it was there, and whole" if part.kept else words
    if (parts := report.parts) is not None:
        kept = f", {parts.kept} of them there already" if parts.kept else ""
        yield "parts", f"{parts.of}{kept}; {plural(parts.workers, 'worker')}"
    if report.dry_run:
        size = f", about {report.bytes_of_states / 1e6:.3g} MB" if report.bytes_of_states else ""
        yield "dry run", f"nothing was computed or written{size}"
    if report.left_out:
        counts = Counter[str]()
        for group in report.left_out:
            counts[_kind(group.reason)] += len(group.entries)
        shown = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        yield "left out", f"{shown}: {spell_command('open_model', report.checkpoint.path)}"


def _kind(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else "that no layer was read from"
