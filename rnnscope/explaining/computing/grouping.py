"""Setups that can be computed at once: those that differ in numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnscope.explaining.computing.setup import Setup

STACK_BYTES = 24 * 2**20
MOST_STACKED = 192


def groups(setups: Sequence[Setup]) -> list[list[int]]:
    """Places of setups that can be computed at once."""
    found: dict[object, list[int]] = {}
    for at, setup in enumerate(setups):
        key = (
            setup.transposed,
            setup.mask is None,
            tuple((name, x.shape) for name, x in setup.inputs.items()),
            id(setup.nodes),
            tuple(driven.structure for driven in setup.layers.values()),
        )
        found.setdefault(key, []).append(at)
    return [
        members[start : start + size]
        for members in found.values()
        for size in [_stack_size(setups[members[0]])]
        for start in range(0, len(members), size)
    ]


def _stack_size(setup: Setup) -> int:
    bytes_each = 0
    for driven in setup.layers.values():
        bytes_each += driven.bytes_of_weights
        bytes_each += setup.sequences * setup.timesteps * driven.cell.num_units * 8 * 6
    return int(np.clip(STACK_BYTES // max(bytes_each, 1), 1, MOST_STACKED))
