"""CONFUSIONS: everything that people read otherwise than it is. Adding one is one line here."""

from __future__ import annotations

from rnnscope.explaining.confusions import (
    comparisons,
    inputs,
    options,
    state,
    timing,
    versions,
    weights,
)
from rnnscope.explaining.confusions.interface import Confusion, Facts

CONFUSIONS: tuple[Confusion, ...] = (
    *versions.CONFUSIONS,
    *weights.CONFUSIONS,
    *options.CONFUSIONS,
    *timing.CONFUSIONS,
    *inputs.CONFUSIONS,
    *state.CONFUSIONS,
    *comparisons.CONFUSIONS,
)
"""Families of deviations, in the order in which several are applied: what a file holds, how its
bytes are read, which block is which gate, then all else."""

__all__ = ["CONFUSIONS", "Confusion", "Facts"]
