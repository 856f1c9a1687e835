"""The colours of a page's heatmaps, for light and for dark surroundings."""

from __future__ import annotations

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.seeing.colours import NO_NUMBER, diverging, rgb

PLACES = 255
"""Colours of a map; the middle one is 0."""

DARK = (
    "#b8dcff", "#6db1ee", "#2f7fc4", "#1d4a75", "#181b20", "#74362b", "#c04f3b", "#f18a6e",
    "#ffd3c2",
)  # fmt: skip
"""Blue to red as on light ground, but dark in the middle: 0 recedes, and the ends stand out."""


def palette() -> dict[str, list[list[int]] | list[int]]:
    """``light`` and ``dark``, lowest value first; and ``odd``, for what is not finite."""
    places = np.linspace(-1, 1, PLACES)
    return {
        "light": diverging(places, 1.0).tolist(),
        "dark": _between(DARK, places).tolist(),
        "odd": list(rgb(NO_NUMBER)),
    }


def _between(anchors: tuple[str, ...], places: Array) -> Array:
    colours = np.array([rgb(colour) for colour in anchors], np.float64)
    at = np.linspace(-1, 1, len(anchors))
    channels = [np.interp(places, at, colours[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
