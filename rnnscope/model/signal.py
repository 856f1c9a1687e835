"""What flows between the nodes of a network, and the contract of a layer without a state."""

from __future__ import annotations

from typing import Protocol

from rnnscope.deferred_dataclass import dataclass
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
    """A layer without a state over time: `Signal`s in, one `Signal` out.

    What a layer may be used for is said by the layer; these are the answers of most.
    """

    kind: str
    """What users call it: ``"Dense"``, ``"Embedding"``, ``"Concatenate"``."""

    def __call__(self, *signals: Signal) -> Signal: ...

    def at(self, sequences: slice) -> Layer:  # noqa: ARG002 - most layers hold nothing of sequences
        """The layer for some of the run's sequences, where it holds something of each."""
        return self

    @property
    def computed(self) -> bool:
        """False for what only stands for a layer that rnnscope does not compute."""
        return True

    @property
    def step_by_step(self) -> bool:
        """Whether a timestep of the result is made of that timestep alone: time may be cut."""
        return False

    @property
    def takes_ids(self) -> bool:
        """Whether it reads whole numbers, which must not become floats before."""
        return False

    @property
    def makes_mask(self) -> bool:
        """Whether it may make a mask of its own from the values that it reads."""
        return False

    @property
    def merges_with_x(self) -> bool:
        """Whether, as a wrapper of a cell, it takes the layer's x as its second input."""
        return False

    @property
    def joins_directions(self) -> bool:
        """Whether it joins what the two directions of a bidirectional layer return."""
        return False

    @property
    def of_own_output(self) -> bool:
        """Whether the layer that reads it makes its x of its own last output.

        Whatever is put in the place of such a stand-in, it is not the model's input.
        """
        return False
