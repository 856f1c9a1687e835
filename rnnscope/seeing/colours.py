"""Diverging colours that the colour-blind can tell apart, 0 in the middle.

References
----------
The anchors are the nine classes of RdBu by C. Brewer (ColorBrewer 2.0), blue for negative values.
Red and blue stay apart in every common kind of colour blindness, and both get darker from the
middle on, so that size shows without hue. The colour for what is no number is P. Tol's for bad
data (SRON/EPS/TN/09-002, 2021).
"""

from __future__ import annotations

import numpy as np

from rnnscope.model.cell import Array

ANCHORS = (
    "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d",
    "#b2182b",
)  # fmt: skip
"""From the lowest value to the highest, evenly spaced; the fifth is 0."""

NO_NUMBER = "#ffee99"
"""NaN and infinities."""

PADDING = "#dddddd"
"""What lies past the length."""

NEGATIVE, POSITIVE = ANCHORS[0], ANCHORS[-1]


TERMINAL_RAMP = (25, 32, 74, 117, 153, 189, 255, 224, 217, 216, 209, 167, 124)
"""The same in the 256 colours that every terminal has: numbers of its palette, 0 in the middle.
The nearest ones to `ANCHORS` change their hue on the way."""

TERMINAL_NO_NUMBER, TERMINAL_PADDING = 228, 245


def terminal_colours(values: Array, limit: float) -> Array:
    """The number of each value's colour in a terminal's palette, int64; as `diverging`."""
    half = len(TERMINAL_RAMP) // 2
    known = np.isfinite(values)
    share = np.clip(np.where(known, values, 0) / limit, -1, 1)
    ramp = np.array(TERMINAL_RAMP)
    found: Array = ramp[np.rint(share * half).astype(np.int64) + half]
    return np.where(known, found, TERMINAL_NO_NUMBER)


def rgb(colour: str) -> tuple[int, int, int]:
    """``#2166ac`` as three numbers of 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def diverging(values: Array, limit: float) -> Array:
    """The colour of each value.

    Parameters
    ----------
    values : ndarray of float
    limit : float
        Values of ± `limit` and beyond have the colours of the ends.

    Returns
    -------
    ndarray of uint8 (…, 3)
        Red, green, blue.
    """
    anchors = np.array([rgb(colour) for colour in ANCHORS], np.float64)
    with np.errstate(invalid="ignore"):
        at = (np.clip(values / limit, -1, 1) + 1) * (len(anchors) - 1) / 2
    known = np.isfinite(values)
    at = np.where(known, at, 0)
    places = np.arange(len(anchors))
    channels = [np.interp(at, places, anchors[:, channel]) for channel in range(3)]
    colours = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    colours[~known] = rgb(NO_NUMBER)
    return colours
