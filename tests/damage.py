"""Damaged copies of a file: cut off at many lengths, with a bit turned at many places."""

from __future__ import annotations

import numpy as np


def damaged_copies(whole: bytes, *, seed: int, step: int, most: int, flips: int) -> list[bytes]:
    """Copies that end every `step` bytes up to `most`, then `flips` with one bit turned."""
    rng = np.random.default_rng(seed)
    made = [whole[:size] for size in range(1, min(len(whole), most), step)]
    for place in rng.integers(0, len(whole), flips):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        made.append(bytes(changed))
    return made
