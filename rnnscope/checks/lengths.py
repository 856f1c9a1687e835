"""Checks of lengths and masks themselves: they must agree, and leave every sequence a step."""

from __future__ import annotations

import numpy as np

from rnnscope.checks import steps
from rnnscope.checks.interface import Check, CheckedSlice, Finding, StatePlace
from rnnscope.checks.measure import Peak, judge, skip, taste


def _mask_and_lengths(layer: CheckedSlice) -> Finding:
    check = "mask-and-lengths"
    if layer.context is not None and not layer.context.mask_given:
        return skip(check, layer, "no mask was given beside the lengths")
    assert layer.mask is not None
    assert layer.lengths is not None
    mask, lengths = layer.mask.astype(bool), np.asarray(layer.lengths)
    # Holes before the end are the mask's own business; where sequences end, both must say.
    wrong = np.flatnonzero(steps.valid_end(mask) != lengths)
    place = None
    if wrong.size:
        row = int(wrong[0])
        step = int(min(steps.valid_end(mask)[row], lengths[row]))
        place = StatePlace(layer.first_sequence + row, step)
    messages = (
        "the last valid step of the mask is where the length says",
        "the mask and the lengths end sequences at different steps",
    )
    return judge(check, layer, Peak(float(wrong.size), place), 0.0, messages)


def _zero_length(layer: CheckedSlice) -> Finding:
    mask = steps.valid_steps(layer)
    assert mask is not None, "guarded by Check.requires"
    empty = np.flatnonzero(~mask.any(axis=1))
    place = StatePlace(layer.first_sequence + int(empty[0])) if empty.size else None
    limit, bad = taste("zero-length", layer, 0.0)
    messages = (
        "every sequence has a valid step"
        if not empty.size
        else "no more sequences than allowed have no valid step",
        "sequences without a valid step end in their initial state, and return padding alone",
    )
    return judge("zero-length", layer, Peak(float(empty.size), place), limit, messages, bad)


LENGTH_CHECKS = (
    Check(
        id="mask-and-lengths",
        title="Mask and lengths end every sequence at the same step",
        advice="Both were given: one of them belongs to another input, or is counted from one.",
        requires=("lengths", "mask"),
        function=_mask_and_lengths,
        counted="sequences",
        during_run=False,
    ),
    Check(
        id="zero-length",
        title="Every sequence has a valid step",
        advice="Empty rows often pad a last batch: leave them out before states are averaged.",
        requires=("mask",),
        function=_zero_length,
        counted="sequences",
        during_run=False,
        limit=0.0,
    ),
)
