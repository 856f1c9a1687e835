"""In which order a layer takes its steps, against an order written out step by step."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_lstm import facts, make_slice

from rnnscope.checks.steps import (
    computed_steps,
    first_valid,
    follows_valid_step,
    last_taken,
    masked_steps,
    step_before,
    valid_end,
)

LENGTHS, TIMESTEPS = (0, 1, 3, 5), 5
MASK = np.array([[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 1, 1, 1]], bool)

WAYS = {
    "forward": {"padding": "zeros"},
    "whole": {"backward": True, "padding": "zeros"},
    "within": {"backward": True, "reversal": "within length", "padding": "zeros"},
    "no lengths": {"backward": True, "reversal": "within length", "padding": "none"},
}


def order(way, end):
    """The timesteps in the order in which they are taken."""
    if way == "forward":
        return list(range(TIMESTEPS))
    if way == "within":
        return [*range(end)[::-1], *range(end, TIMESTEPS)]
    return list(range(TIMESTEPS))[::-1]


def layer_of(way, masked):
    return (
        make_slice(facts(**WAYS[way]), MASK)
        if masked
        else make_slice(facts(**WAYS[way]), lengths=LENGTHS, timesteps=TIMESTEPS)
    )


def ends(masked):
    """One past the last valid step of each sequence."""
    return [0, 1, 4, 5] if masked else list(LENGTHS)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_the_step_before_each(way, masked):
    layer = layer_of(way, masked)
    for row, end in enumerate(ends(masked)):
        taken = order(way, end)
        rows, times = np.full(TIMESTEPS, row), np.arange(TIMESTEPS)
        wanted = [taken[taken.index(t) - 1] if taken.index(t) else -1 for t in range(TIMESTEPS)]
        assert step_before(layer, rows, times).tolist() == wanted, (row, end)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_whether_a_masked_step_follows_a_valid_one(way, masked):
    layer = layer_of(way, masked)
    mask = MASK if masked else np.arange(TIMESTEPS) < np.array(LENGTHS)[:, None]
    rows, times = masked_steps(mask)
    assert [*zip(rows.tolist(), times.tolist(), strict=True)] == [
        (row, time) for row in range(4) for time in range(TIMESTEPS) if not mask[row, time]
    ]
    wanted = []
    for row, time in zip(rows, times, strict=True):
        taken = order(way, ends(masked)[row])
        wanted.append(bool(mask[row, taken[: taken.index(time)]].any()))
    assert follows_valid_step(layer, mask, rows, times).tolist() == wanted


@pytest.mark.parametrize("way", WAYS)
def test_the_last_step_taken_that_counts(way):
    layer = layer_of(way, masked=True)
    rows, times = last_taken(layer, MASK)
    assert rows.tolist() == [1, 2, 3]
    for row, time in zip(rows, times, strict=True):
        taken = order(way, ends(masked=True)[row])
        assert time == [step for step in taken if MASK[row, step]][-1]
    rows, times = last_taken(layer, None)
    assert rows.tolist() == [0, 1, 2, 3]
    assert times.tolist() == [0 if layer.facts.backward else TIMESTEPS - 1] * 4


def test_first_and_last_valid_steps():
    assert first_valid(MASK).tolist() == [5, 0, 1, 0]
    assert valid_end(MASK).tolist() == [0, 1, 4, 5]


def test_a_layer_without_lengths_computes_every_step():
    assert computed_steps(layer_of("no lengths", masked=True)) is None
    assert computed_steps(layer_of("within", masked=True)).tolist() == MASK.tolist()
