"""Numbers from a seed that are the same on every machine and with every numpy.

Only the bits of PCG64 are used, whose stream numpy promises to keep (NEP 19); the methods that make
distributions of them may change. Every case has its own stream, named after it, so that leaving
cases out or adding some changes no other.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np

from rnnscope.model.cell import Array


class Draw:
    """Uniform numbers for one case.

    Parameters
    ----------
    seed : int
    name : str
        The case's name.
    dtype : dtype
        What numbers are rounded to.
    """

    def __init__(self, seed: int, name: str, dtype: np.dtype[Any]) -> None:
        words = np.frombuffer(sha256(name.encode()).digest(), "<u4")
        self._bits = np.random.PCG64([seed, *words.tolist()])
        self._dtype = dtype

    def __call__(self, most: float, *shape: int) -> Array:
        """Numbers within ±most, rounded to the case's dtype."""
        count = int(np.prod(shape, dtype=np.int64))
        # 53 bits are all that a float64 holds: the product is exact, on any machine.
        unit = (self._bits.random_raw(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        drawn: Array = (most * (2 * unit - 1)).astype(self._dtype).reshape(shape)
        return drawn
