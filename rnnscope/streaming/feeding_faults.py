"""What streamers feed wrongly: steps twice, steps made up, resets at other steps, outputs late."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.streaming.fault import ZEROS, Facts, Fault, Feed
from rnnscope.wording import plural

OVERLAPS, PADDED, LAGS = (1, 2, 3, 4, 8), (1, 2, 3, 4, 6, 8, 16), (1, 2, 3, 4, 8)


def of_feeding() -> Iterator[Fault]:
    """Steps that are fed twice, left out, or made up."""
    for count in OVERLAPS:
        last = "step of each chunk is" if count == 1 else f"{count} steps of each chunk are"
        yield Fault(
            f"fed-again:{count}",
            f"the last {last} fed again with the next one{{every}}: the state takes "
            f"{'it' if count == 1 else 'them'} twice",
            "Carry the state from before the steps that overlap, or let chunks follow one another.",
            feed=partial(_fed_again, count),
        )
    for count in PADDED:
        yield Fault(
            f"padding-stepped:{count}",
            f"{plural(count, 'step')} of zeros behind each chunk step{'s' if count == 1 else ''} "
            "the state{every}",
            "Take the state after the last real step, or give the length of the chunk.",
            feed=partial(_padded, count),
        )
    yield Fault(
        "last-chunk-padded",
        "the last chunk is filled up with zeros, which step the state",
        "Take the final state after the last real step, or give the length of the chunk.",
        feed=_last_padded,
        any_length=True,
    )


def _fed_again(count: int, start: int, stop: int, chunk: int, timesteps: int) -> Feed:  # noqa: ARG001
    again = min(count, start)
    return Feed(np.arange(start - again, stop), slice(again, None))


def _padded(count: int, start: int, stop: int, chunk: int, timesteps: int) -> Feed:  # noqa: ARG001
    steps = np.concatenate([np.arange(start, stop), np.full(count, ZEROS)])
    return Feed(steps, slice(0, stop - start))


def _last_padded(start: int, stop: int, chunk: int, timesteps: int) -> Feed:
    missing = max(0, chunk - (stop - start)) if stop == timesteps else 0
    steps = np.concatenate([np.arange(start, stop), np.full(missing, ZEROS)])
    return Feed(steps, slice(0, stop - start))


def of_resets(facts: Facts) -> Iterator[Fault]:
    """Episodes that begin at other steps than the input says."""
    if not facts.has_resets:
        return
    advice = "Reset the state of a sequence before the first step of each of its episodes."
    shifted = f"{advice} An episode's first step is one after the step whose 'done' is set."
    yield Fault("resets-ignored", "the resets of the input are ignored: the state of an episode "
                "goes on in the next", advice, resets=np.zeros_like)  # fmt: skip
    yield Fault("resets-late", "resets come one step late", shifted, resets=partial(_next_steps, 1))
    yield Fault("resets-early", "resets come one step early", shifted,
                resets=partial(_next_steps, -1))  # fmt: skip
    if facts.sequences > 1:
        yield Fault("resets-shared", "a reset of one sequence resets all of them", advice,
                    resets=_in_all)  # fmt: skip


def _next_steps(by: int, resets: Array) -> Array:
    moved = np.zeros_like(resets)
    if by > 0:
        moved[:, by:] = resets[:, :-by]
    else:
        moved[:, :by] = resets[:, -by:]
    return moved


def _in_all(resets: Array) -> Array:
    found: Array = np.broadcast_to(resets.any(axis=0), resets.shape).copy()
    return found


def of_lag(facts: Facts) -> Iterator[Fault]:
    """Outputs that do not belong to the step they come with."""
    for count in LAGS:
        if count < facts.timesteps:
            yield Fault(
                f"outputs-late:{count}",
                f"every output comes {plural(count, 'step')} late; the state is right",
                "Line outputs and steps up: the first output belongs to the first step.",
                lag=count,
            )
