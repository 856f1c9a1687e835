"""CONFUSIONS: everything that people read otherwise than it is. Adding one is one line here."""

from __future__ import annotations

from rnnscope.explaining.confusions import (
    cell_weights,
    comparisons,
    gate_order,
    inputs,
    kernel_layout,
    layer_places,
    options,
    padding,
    state,
    time_axis,
    versions,
)
from rnnscope.explaining.confusions.interface import Confusion, Facts

CONFUSIONS: tuple[Confusion, ...] = (
    *versions.CONFUSIONS,
    *kernel_layout.CONFUSIONS,
    *gate_order.CONFUSIONS,
    *cell_weights.CONFUSIONS,
    *layer_places.CONFUSIONS,
    *options.CONFUSIONS,
    *padding.CONFUSIONS,
    *time_axis.CONFUSIONS,
    *inputs.CONFUSIONS,
    *state.CONFUSIONS,
    *comparisons.CONFUSIONS,
)
"""Families of deviations, in the order in which several are applied: what a file holds, how its
bytes are read, which block is which gate, then all else."""

__all__ = ["CONFUSIONS", "Confusion", "Facts"]
