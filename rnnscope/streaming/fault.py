"""What a fault of a streamer is: a change of one that does everything right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

State = Mapping[str, Array]
States = Mapping[str, State]
"""By layer and state, (sequence, width)."""


@dataclass(frozen=True, eq=False)
class Handover:
    """The state between two chunks, and what a streamer may take in its place.

    Attributes
    ----------
    after : States
        After the chunk: what is right.
    earlier : States
        One step before that.
    first : States
        Before the first step of all.
    first_chunk : States
        After the first chunk.
    """

    after: States
    earlier: States
    first: States
    first_chunk: States


Carry = Callable[[Handover], States]

ZEROS = -1
"""In the steps that are fed: a step of zeros that the input does not hold."""


@dataclass(frozen=True, eq=False)
class Feed:
    """The steps that a chunk feeds, and which of their outputs are returned."""

    steps: Array
    kept: slice = field(default_factory=lambda: slice(None))


FeedChunk = Callable[[int, int, int, int], Feed]
"""``feed(start, stop, chunk, timesteps)``."""


def right_state(given: Handover) -> States:
    """The state after the chunk, as it is."""
    return given.after


def right_steps(start: int, stop: int, chunk: int, timesteps: int) -> Feed:  # noqa: ARG001
    """The steps of the chunk, each once."""
    return Feed(np.arange(start, stop))


@dataclass(frozen=True, eq=False)
class Fault:
    """A way to stream that is wrong.

    Attributes
    ----------
    id : str
    words : str
        What the streamer does; ``{every}`` is where in time.
    advice : str
        What to change there.
    carry, feed : callable
        What differs of a right one.
    resets : callable or None
        Makes other resets of the right ones, bool (sequence, timestep).
    kept : bool
        A sequence starts from the final state of the one before it.
    backward_carried : bool
        Layers that read from the end go on from where they ended in the chunk before.
    lag : int
        Outputs come so many steps late.
    any_length : bool
        Where outputs part does not tell where a chunk ends: every length may be it.
    """

    id: str
    words: str
    advice: str
    carry: Carry = right_state
    feed: FeedChunk = right_steps
    resets: Callable[[Array], Array] | None = None
    kept: bool = False
    backward_carried: bool = False
    lag: int = 0
    any_length: bool = False

    @property
    def periodic(self) -> bool:
        """Whether it happens between chunks, so that the length of these matters."""
        return not (self.resets or self.kept or self.lag)


@dataclass(frozen=True)
class Facts:
    """What decides which faults a network can have.

    Attributes
    ----------
    layers : tuple of str
        Recurrent ones, in order.
    widths : mapping of str to mapping of str to int
        Of each layer's states.
    backward : tuple of str
        The layers that read from the end.
    sequences, timesteps : int
    has_resets : bool
    """

    layers: tuple[str, ...]
    widths: Mapping[str, Mapping[str, int]]
    backward: tuple[str, ...]
    sequences: int
    timesteps: int
    has_resets: bool
