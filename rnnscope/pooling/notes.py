"""Sentences that reports say of a pooling: which steps counted, what `last` means, empty rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rnnscope.errors import spell
from rnnscope.pooling.interface import Edge, PooledResult, PoolSource
from rnnscope.wording import plural, some

if TYPE_CHECKING:
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


def plan_notes(
    trace: Trace, sources: Sequence[PoolSource], methods: Sequence[str], edge: Edge
) -> Iterator[str]:
    """What a reader of the numbers has to know beforehand."""
    counted = trace.lengths is not None or trace.mask is not None
    resets = trace.resets
    if resets is not None and resets.any():
        within = plural(int(resets[:, 1:].any(axis=1).sum()), "sequence")
        yield (f"The state is reset within {within}: a value is over all episodes of its sequence.")
    for source in sources:
        if any(
            layer.own_time or layer.timesteps not in (None, trace.timesteps)
            for layer in source.layers
        ):
            yield f"{source.name} has other timesteps than the input: all of them count."
            continue
        computed_on = [
            layer.name for layer in source.layers
            if layer.widths and layer.known_facts.padding == "none"
        ]  # fmt: skip
        if counted and computed_on:
            yield (
                f"{' and '.join(computed_on)} computed every step (padding rule none); the valid "
                "steps are still those of the given lengths or mask."
            )
        if "last" in methods and source.backward_parts:
            yield _about_last(source, edge, alone=not (counted and computed_on))


def _about_last(source: PoolSource, edge: Edge, *, alone: bool) -> str:
    merged = not source.layers[0].widths
    who = "the backward half" if len(source.layers) > 1 or merged else "this backward layer"
    if edge == "final" and not merged:
        return f"{source.name}: last is each direction's own last step ({spell('edge', 'final')})."
    seen_by_then = "one step only" if alone else "that step and the padding behind it only"
    text = (
        f"{source.name}: last is the last valid step of the input, where {who} has seen "
        f"{seen_by_then}"
    )
    if merged:
        return (
            f"{text}; {spell('direction', 'concat')} "
            f"{spell('edge', 'final')} takes each direction's own last step."
        )
    return f"{text}; {spell('edge', 'final')} takes its own last step."


def pool_notes(results: Sequence[PooledResult]) -> Iterator[str]:
    """Sequences that have no valid step, and what they get."""
    most = max((result.empty for result in results), default=0)
    if not most:
        return
    methods = dict.fromkeys(result.method for result in results)
    values: dict[str, list[str]] = {}
    for method in methods:
        values.setdefault(EMPTY_WORDS.get(method, "NaN"), []).append(method)
    values_words = ", ".join(
        f"{value} for {' and '.join(names)}" for value, names in values.items()
    )
    verb = "has" if most == 1 else "have"
    yield f"{plural(most, 'sequence')} {verb} no valid step: {values_words}."
