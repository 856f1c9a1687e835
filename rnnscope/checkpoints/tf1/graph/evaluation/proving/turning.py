"""Turning sequences into the order in which a layer processes them, and layers round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rnnscope.model.cell import Array
from rnnscope.model.ops import OPS
from rnnscope.model.recurrent_layer import RecurrentLayer, Reversal


def turned(layer: RecurrentLayer, values: Array, lengths: Array | None) -> Array:
    """Values (sequence, step, …) in the order of processing, or back.

    Without lengths every step counts, so that a turn within them is one of the whole axis.
    """
    made: Array = values
    if layer.backward.value and (layer.reversal == "whole" or lengths is None):
        made = OPS["reverse"](values, 1)
    elif layer.backward.value:
        made = OPS["reverse_sequence"](values, lengths, time_axis=1)
    return made


def forward(layer: RecurrentLayer) -> RecurrentLayer:
    """The layer, read from the beginning."""
    return replace(layer, backward=replace(layer.backward, value=False))


def backward(layer: RecurrentLayer, reversal: Reversal) -> RecurrentLayer:
    """The layer, read from the end."""
    return replace(layer, backward=replace(layer.backward, value=True), reversal=reversal)


def other_directions(layer: RecurrentLayer) -> Iterator[RecurrentLayer]:
    """The layer in every direction but its own."""
    own = layer.reversal if layer.backward.value else None
    if own is not None:
        yield forward(layer)
    if own != "whole":
        yield backward(layer, "whole")
    if own != "within length":
        yield backward(layer, "within length")
