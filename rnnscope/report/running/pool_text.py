"""The text report of ``rnnscope pool``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from rnnscope.checks.interface import index
from rnnscope.pooling.interface import NaiveDifference, PooledResult
from rnnscope.pooling.methods import POOLINGS
from rnnscope.pooling.result import PoolReport
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import heading, lines, pairs, table
from rnnscope.wording import number, plural, shape

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(report: PoolReport, *, width: int = 100, color: bool = False) -> str:
    """The report as text."""
    return text_of(_pool_parts(report), width=width, color=color)


def _pool_parts(report: PoolReport) -> Iterator[RenderableType]:
    """The head, what was made of each layer, and what ignoring the padding would give."""
    size = f"{plural(report.sequences, 'sequence')} x {plural(report.timesteps, 'timestep')}"
    yield pairs(
        [
            ("trace", f"{report.trace} ({size})"),
            ("valid steps", report.valid),
            ("written", report.written),
        ]
    )
    for layer, results in _by_layer(report.pooled):
        yield _pooled_table(layer, results)
    if report.naive:
        for layer, results in _by_layer(report.pooled):
            yield from _naive(layer, results)
    if report.notes:
        yield lines("notes", report.notes)


def _by_layer(results: Iterable[PooledResult]) -> Iterator[tuple[str, list[PooledResult]]]:
    groups: dict[str, list[PooledResult]] = {}
    for result in results:
        groups.setdefault(result.layer, []).append(result)
    yield from groups.items()


def _title(layer: str, results: Sequence[PooledResult]) -> str:
    first = results[0]
    if len(first.layers) > 1:
        return f"{layer}: {first.direction} of {' and '.join(first.layers)}"
    return layer


def _pooled_table(layer: str, results: Sequence[PooledResult]) -> RenderableType:
    from rich.console import Group

    rows = [
        [
            result.state,
            result.method,
            shape(result.shape),
            result.dtype,
            result.array.partition("::")[2] or result.array,
        ]
        for result in results
    ]
    columns = ["state", "method", "shape", "dtype", "array"]
    title = f"pooled {_title(layer, results)}"
    return Group(heading(title), table(columns, rows, fold={"array"}))


def _naive(layer: str, results: Sequence[PooledResult]) -> Iterator[RenderableType]:
    from rich.console import Group

    title = heading(f"ignoring the padding of {layer}")
    if not any(result.padded for result in results):
        yield Group(title, pairs([("", "no sequence has padding: every number is the same")]))
        return
    rows = []
    for result in results:
        naive = result.naive or NaiveDifference()
        rows.append(
            [
                result.state,
                result.method,
                plural(naive.sequences, "sequence"),
                _value(naive.difference),
                index(naive.place),
                _value(naive.pooled),
                _value(naive.naive),
            ]
        )
    columns = ["state", "method", "differ", "by at most", "where", "pooled", "ignoring"]
    right = {"differ", "by at most", "pooled", "ignoring"}
    explained = [(f"{'/'.join(states)} {method}", text) for states, method, text in _words(results)]
    yield Group(title, table(columns, rows, right=right))
    yield pairs(explained, bold=False)


def _words(results: Sequence[PooledResult]) -> Iterator[tuple[list[str], str, str]]:
    """What ignoring the padding does with each method; states for which it does the same."""
    by_words: dict[tuple[str, str], list[str]] = {}
    for result in results:
        pooling = POOLINGS[result.method]
        harmed = result.naive is not None and result.naive.sequences > 0
        only_empty = result.naive is not None and result.naive.place is None and harmed
        text = pooling.ignoring if harmed else pooling.unharmed
        if only_empty:
            text = f"{pooling.unharmed}; but gives sequences without a valid step a value"
        by_words.setdefault((result.method, text), []).append(result.state)
    for (method, text), states in by_words.items():
        yield states, method, text


def _value(value: float | None) -> str:
    if value is None:
        return ""
    return number(value) if isfinite(value) else str(value)
