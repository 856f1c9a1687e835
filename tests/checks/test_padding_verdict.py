"""The verdict on padding: one line of plain words for each situation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_lstm import damage, facts, make_slice

from rnnscope.checks.padding_verdict import PaddingSummary, padding_verdict

BACK = {"backward": True}
WITHIN = {"backward": True, "reversal": "within length"}
LEFT = [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
HOLE = [[1, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
MIXED = [[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]

VERDICTS = [
    ({}, {}, "no lengths: every step of all 3 sequences was computed"),
    ({}, {"sequences": 1}, "no lengths: every step of the one sequence was computed"),
    (
        {"padding": "zeros"},
        {"lengths": [5, 5]},
        "no padding: all 2 sequences run the full 5 steps",
    ),
    (
        {"padding": "zeros"},
        {"lengths": [5, 2, 3]},
        "2 of 3 sequences are shorter than 5 steps: outputs past the length are zero, "
        "c and m keep the state of the last valid step",
    ),
    (
        {"padding": "zeros"},
        {"lengths": [5, 0, 3]},
        "2 of 3 sequences are shorter than 5 steps, 1 without a valid step: outputs past the "
        "length are zero, c and m keep the state of the last valid step",
    ),
    (
        {"padding": "hold"},
        {"lengths": [5, 2]},
        "1 of 2 sequences is shorter than 5 steps: outputs past the length repeat the previous "
        "output, c and m keep the state of the last valid step",
    ),
    (
        {"padding": "none"},
        {"lengths": [5, 2]},
        "lengths given, but this layer does not use them: it computed on through the padding "
        "(1 of 2 sequences is shorter than 5 steps)",
    ),
    (
        {"padding": "none", **BACK},
        {"lengths": [5, 2]},
        "lengths given, but this layer does not use them: it computed on through the padding "
        "(1 of 2 sequences is shorter than 5 steps)",
    ),
    (
        {"padding": "zeros", **BACK},
        {"lengths": [5, 2]},
        "1 of 2 sequences is shorter than 5 steps: outputs past the length are zero, "
        "c and m hold the initial state there, since the layer reads from the end",
    ),
    (
        {"padding": "zeros", **WITHIN},
        {"lengths": [5, 2]},
        "1 of 2 sequences is shorter than 5 steps: outputs past the length are zero, "
        "c and m keep the final state",
    ),
    (
        {"padding": "hold"},
        {"mask": LEFT},
        "1 of 2 sequences has masked steps at the start (left padding): outputs at masked steps "
        "repeat the previous output (zeros before the first valid step), "
        "c and m are carried through them",
    ),
    (
        {"padding": "zeros"},
        {"mask": HOLE},
        "1 of 2 sequences has masked steps between valid steps (holes): outputs at masked steps "
        "are zero, c and m are carried through them",
    ),
    (
        {"padding": "zeros"},
        {"mask": MIXED, "input_steps": [4, 0, 5]},
        "2 of 3 sequences have masked steps: 1 at the start (left padding), 1 between valid steps "
        "(holes), 1 at the end, 1 everywhere: outputs at masked steps are zero, "
        "c and m are carried through them",
    ),
]


@pytest.mark.parametrize(("layer", "given", "expected"), VERDICTS)
def test_verdict(layer, given, expected):
    assert padding_verdict(make_slice(facts(**layer), **given)) == expected


def test_the_verdict_tells_what_the_arrays_show():
    """Not what the rule promises: a damaged state is said to change."""
    layer = damage(make_slice(facts(padding="zeros"), lengths=[5, 2]), "states.c", 2.0, 1, 4, 0)
    assert padding_verdict(layer).endswith("outputs past the length are zero, c and m change there")
    shown = replace(make_slice(facts(padding="none"), lengths=[5, 2]), facts=facts(padding="zeros"))
    assert "outputs past the length are computed on" in padding_verdict(shown)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        (None, "no lengths: every step of all 2 sequences was computed"),
        ([10, 10], "no padding: all 2 sequences run the full 10 steps"),
    ],
)
def test_zero_rows_that_look_padded_are_named(lengths, expected):
    layer = make_slice(facts(padding="zeros"), sequences=2, timesteps=10, lengths=lengths)
    layer = replace(layer, input_steps=np.array([10, 6]))
    assert padding_verdict(layer) == (
        f"{expected}; the input of 1 of 2 sequences ends in all-zero rows "
        "that were computed as steps, not as padding"
    )


def test_lengths_that_cut_the_input_are_named_and_the_source_too():
    layer = replace(
        make_slice(facts(padding="zeros"), lengths=[5, 2]), input_steps=np.array([5, 4])
    )
    assert padding_verdict(layer, "sequence_length from placeholder 'n'").endswith(
        "last valid step (sequence_length from placeholder 'n'); "
        "the lengths of 1 leave out rows that are not zero"
    )


def test_slices_add_up_to_the_verdict_on_the_whole():
    summary = PaddingSummary(facts(padding="zeros"))
    for lengths in ([5, 2, 3], [5, 5], [1, 4]):
        summary.add(make_slice(facts(padding="zeros"), lengths=lengths))
    assert summary.text().startswith("4 of 7 sequences are shorter than 5 steps: outputs past")


def test_a_slice_without_padding_does_not_blur_the_verdict():
    summary = PaddingSummary(facts(padding="none"))
    for lengths in ([5, 5], [1, 4], [5, 5]):
        summary.add(make_slice(facts(padding="none"), lengths=lengths))
    assert summary.text().startswith("lengths given, but this layer does not use them")
