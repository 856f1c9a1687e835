"""What reports say of a pooling beside its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnscope.pool.interface import PooledResult
from rnnscope.report.words import plural, some
from rnnscope.trace import Trace

EMPTY_WORDS = {"sum": "0", "argmax": "-1"}
"""What a sequence without valid steps gets; NaN from all other methods."""


def valid_steps_words(trace: Trace) -> str:
    """Which steps count: ``"lengths 10, 6"``."""
    lengths = trace.lengths
    if trace.mask is not None:
        return "those of the mask"
    if lengths is not None:
        return f"lengths {some([str(length) for length in lengths], most=10)}"
    return "all: the trace holds neither lengths nor a mask"


def pool_notes(results: Sequence[PooledResult]) -> Iterator[str]:
    """Sequences that have no valid step, and what they get."""
    most = max((result.empty for result in results), default=0)
    if not most:
        return
    methods = dict.fromkeys(result.method for result in results)
    values: dict[str, list[str]] = {}
    for method in methods:
        values.setdefault(EMPTY_WORDS.get(method, "NaN"), []).append(method)
    told = ", ".join(f"{value} for {' and '.join(names)}" for value, names in values.items())
    verb = "has" if most == 1 else "have"
    yield f"{plural(most, 'sequence')} {verb} no valid step: {told}."
