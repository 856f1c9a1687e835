"""Colours: 0 is the middle, both sides get darker, and stay apart for the colour-blind."""

from __future__ import annotations

import numpy as np

from rnnscope.seeing.colours import ANCHORS, NO_NUMBER, PADDING, diverging, rgb

# How dichromats see linear RGB (Viénot, Brettel and Mollon 1999: red and green cones missing).
PROTAN = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
DEUTAN = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


def linear(colours):
    share = np.asarray(colours, np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def test_the_ends_the_middle_and_beyond():
    found = diverging(np.array([-9.0, -2, 0, 2, 9, np.nan, np.inf]), 2.0)
    expected = [ANCHORS[0], ANCHORS[0], ANCHORS[4], ANCHORS[-1], ANCHORS[-1], NO_NUMBER, NO_NUMBER]
    assert found.tolist() == [list(rgb(colour)) for colour in expected]
    assert found.dtype == np.uint8


def test_both_sides_get_darker_evenly():
    light = linear(diverging(np.linspace(-1, 1, 41), 1.0)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light[:21]) > 0).all()
    assert (np.diff(light[20:]) < 0).all()
    assert abs(light[0] - light[-1]) < 0.05


def test_the_colour_blind_tell_the_sides_apart():
    """As far apart in what dichromats see as a half of the whole range of a channel."""
    for seen in (PROTAN, DEUTAN):
        low, high = linear([rgb(ANCHORS[1]), rgb(ANCHORS[-2])]) @ seen.T
        assert np.abs(low - high).max() > 0.3


def test_padding_is_no_colour_of_a_number():
    ramp = diverging(np.linspace(-1, 1, 2001), 1.0)
    for colour in (PADDING, NO_NUMBER):
        assert np.abs(ramp.astype(int) - rgb(colour)).max(axis=1).min() > 8
