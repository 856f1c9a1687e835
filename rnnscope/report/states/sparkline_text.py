"""A unit over time in one line of text."""

from __future__ import annotations

import numpy as np

from rnnscope.model.cell import Array

BARS, DIGITS = "▁▂▃▄▅▆▇█", "0123456789"
HATCH, ASCII_HATCH = "╱", "/"


def sparkline(values: Array, padding: Array, *, plain: bool) -> str:
    """A sign for each value, from the smallest to the largest of those that are no padding.

    Parameters
    ----------
    values : ndarray (column,)
    padding : ndarray of bool (column,)
    plain : bool
        Digits in place of bars.
    """
    signs = DIGITS if plain else BARS
    known = np.isfinite(values) & ~padding
    low = float(values[known].min()) if known.any() else 0.0
    high = float(values[known].max()) if known.any() else 0.0
    line = []
    for value, is_known, is_padding in zip(values.tolist(), known, padding, strict=True):
        if is_padding:
            line.append(ASCII_HATCH if plain else HATCH)
        elif not is_known:
            line.append("?")
        else:
            share = (value - low) / (high - low) if high > low else 0.5
            line.append(signs[min(len(signs) - 1, int(share * len(signs)))])
    return "".join(line)
