"""Floats of 16 bits, as the float32 that they are: rnnscope keeps and computes none in 16 bits."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from rnnscope.model.cell import Array

HalfFloat = Literal["float16", "bfloat16"]


def rounded(values: Any, to: HalfFloat) -> Array:
    """Values rounded to 16 bits, to the nearest and of two to the even one.

    Wider floats and whole numbers are rounded to float32 first, as frameworks do.

    Returns
    -------
    ndarray
        Of float32, which holds every float of 16 bits.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.asarray(values).astype(np.float32)
        if to == "float16":
            return wide.astype(np.float16).astype(np.float32)
    bits = wide.view(np.uint32)
    # A bfloat16 is the upper half of a float32. What is cut off is less than a half, or carries
    # into the upper half; a carry out of the largest one makes an infinity, which is right.
    near = (bits + (np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1)))) & np.uint32(0xFFFF0000)
    found: Array = np.where(np.isnan(wide), wide, near.view(np.float32))
    return found
