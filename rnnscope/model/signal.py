"""What flows between the nodes of a network, and the contract of a layer without a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class Signal:
    """What one node hands to the next.

    Attributes
    ----------
    values : ndarray
        (sequence, timestep, feature), or (sequence, feature) after a layer that returns its last
        output only, or (sequence, timestep) integers in front of an embedding.
    mask : ndarray of bool (sequence, timestep) or None
        True where a step counts; None where every step does.
    """

    values: Array
    mask: Array | None = None


class Layer(Protocol):
    """A layer without a state over time: `Signal`s in, one `Signal` out."""

    kind: str
    """What users call it: ``"Dense"``, ``"Embedding"``, ``"Concatenate"``."""

    def __call__(self, *signals: Signal) -> Signal: ...
