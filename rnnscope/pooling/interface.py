"""What passes between the parts of pooling: which arrays are made, and what was found in them."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np

from rnnscope.checks.interface import StatePlace
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.trace.pooled import PooledHeader
from rnnscope.trace.schema import LayerHeader

Direction = Literal["forward", "backward", "concat", "sum"]
Edge = Literal["input", "final"]
DIRECTIONS: tuple[str, ...] = get_args(Direction)
EDGES: tuple[str, ...] = get_args(Edge)


@dataclass(frozen=True, eq=False)
class PoolSource:
    """A layer to pool, or the two directions of a bidirectional one.

    Attributes
    ----------
    name : str
        What the result is called.
    layers : tuple of LayerHeader
        One; or the forward and the backward one, in this order.
    direction : Direction or None
        How they are joined, or which one was chosen; None for a layer as it is.
    backward_parts : tuple of str
        Names of the backward layers inside, also inside of a merge that the file made itself.
    """

    name: str
    layers: tuple[LayerHeader, ...]
    direction: Direction | None = None
    backward_parts: tuple[str, ...] = ()

    def width(self, state: str) -> int | None:
        """The width of a pooled state; None if a layer has no such state."""
        widths = [_width(layer, state) for layer in self.layers]
        if any(width is None for width in widths):
            return None
        known = [width for width in widths if width is not None]
        return known[0] if self.direction == "sum" else sum(known)

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The trace's: the wider one of two."""
        result: np.dtype[np.floating] = np.result_type(*(layer.dtype for layer in self.layers))
        return result


def _width(layer: LayerHeader, state: str) -> int | None:
    return layer.output_size if state == "outputs" else layer.widths.get(state)


@dataclass(frozen=True, eq=False)
class PoolJob:
    """One array to make: a method over a state of a source."""

    source: PoolSource
    state: str
    method: str
    header: PooledHeader


@dataclass(frozen=True)
class NaiveDifference:
    """What pooling over all timesteps, padding too, would give, compared with what pooling gives.

    Attributes
    ----------
    sequences : int
        How many sequences get another value in any unit.
    difference : float
        The largest, over sequences that have a valid step; in steps for argmax.
    place : StatePlace or None
        Where: sequence and unit.
    pooled, naive : float or None
        The two values there.
    """

    sequences: int = 0
    difference: float = 0.0
    place: StatePlace | None = None
    pooled: float | None = None
    naive: float | None = None


@dataclass(frozen=True)
class PooledResult:
    """One array that was made.

    Attributes
    ----------
    layer, state, method : str
    layers : tuple of str
        The layers of the trace that went into it.
    direction : Direction or None
    edge : Edge or None
        For methods that take one step.
    shape : (sequence, unit)
    dtype : str
    array : str
        Its path in the trace, or its name in the file.
    padded, empty : int
        Sequences with steps that do not count, and of these, sequences with no step that does.
    naive : NaiveDifference or None
        If it was asked for.
    """

    layer: str
    state: str
    method: str
    layers: tuple[str, ...]
    direction: Direction | None
    edge: Edge | None
    shape: tuple[int, int]
    dtype: str
    array: str
    padded: int = 0
    empty: int = 0
    naive: NaiveDifference | None = None


class PooledSink(Protocol):
    """Where pooled arrays go, some sequences at a time."""

    def write(self, header: PooledHeader, values: Array, sequences: slice) -> None:
        """Write values (sequence, unit) of the header's dtype."""
        ...

    def place(self, header: PooledHeader) -> str:
        """What reports call the array's place."""
        ...
