"""A set of states, whatever format they are kept in: layers, and arrays that are not read yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from math import prod

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.arrays.array_views import StepOf
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerFacts

INPUTS = "inputs"
"""What a decoder read at each step, (sequence, timestep, input), where a trace holds it."""

FINAL, INITIAL, GATES = "final/", "initial/", "gates/"
"""What stands before an array's name: ``final/c`` is (sequence, unit), ``gates/i`` as ``c``."""


@dataclass(frozen=True)
class UnreadArray:
    """An array that a file holds and that was not read as a state.

    Attributes
    ----------
    name : str
        As the file calls it; empty where it gives no name.
    key : str
        The state that its name says it is, ``"outputs"``; empty if it says none.
    reason : str
        Why it was not read, in words; empty if its name is no state's.
    """

    name: str
    key: str = ""
    reason: str = ""

    @property
    def label(self) -> str:
        return self.name or "an array without a name"

    def __str__(self) -> str:
        return f"{self.label}, {self.reason}" if self.reason else self.label


@dataclass(frozen=True, eq=False)
class StateLayer:
    """The arrays of one layer.

    Attributes
    ----------
    name : str
        As the file gives it; empty or a number where it gives none.
    arrays : mapping of str to StoredArray
        By name as in a trace: ``c``, ``m``, ``outputs``, ``gates/i`` … (sequence, timestep, unit)
        and ``final/c``, ``final/m``, ``initial/c``, ``initial/m`` (sequence, unit).
    facts : LayerFacts or None
        What a trace says of the layer apart from its arrays; None elsewhere.
    named : bool
        False if `name` is only a position.
    counted : bool
        True if the run's lengths and mask are about this layer's steps.
    coordinates : mapping of str to ndarray of int
        Of the layer's own dimensions, ``timestep``, ``unit`` and ``output``, where the file has
        them.
    """

    name: str
    arrays: Mapping[str, StoredArray]
    facts: LayerFacts | None = None
    named: bool = True
    counted: bool = True
    coordinates: Mapping[str, Array] = field(default_factory=dict)

    @property
    def backward(self) -> bool:
        return self.facts is not None and self.facts.backward

    @property
    def has_states(self) -> bool:
        """Whether it has c or m, over time or at the end; a merge has outputs alone."""
        return bool({"c", "m", FINAL + "c", FINAL + "m"} & self.arrays.keys())

    @property
    def timesteps(self) -> int | None:
        """Steps of the arrays over time; None where there are final states alone."""
        return next(
            (array.shape[1] for array in self.arrays.values() if len(array.shape) == 3), None
        )

    @property
    def sequences(self) -> int:
        return next((array.shape[0] for array in self.arrays.values()), 0)


@dataclass(frozen=True, eq=False)
class StateSet:
    """Layers of states from one place.

    Attributes
    ----------
    name : str
        What reports call it.
    format : str
        A key of STATE_FORMATS.
    layers : tuple of StateLayer
    lengths : ndarray of int (sequence,) or None
    mask : ndarray of bool (sequence, timestep) or None
    sequence, timestep : ndarray of int or None
        Coordinates; None: 0, 1, 2 …
    notes : tuple of str
        What had to be assumed, or was left aside.
    selected : bool
        Steps or units were left out on purpose: what only the other side has is no difference.
    not_read : tuple of UnreadArray
        The arrays of the file that are neither in `layers` nor lengths, mask or coordinates.
    has_recipe : bool
        It is a trace that tells how to make it again.
    close : callable
        Closes the file; the arrays cannot be read afterwards.
    """

    name: str
    format: str
    layers: tuple[StateLayer, ...]
    lengths: Array | None = None
    mask: Array | None = None
    sequence: Array | None = None
    timestep: Array | None = None
    notes: tuple[str, ...] = ()
    selected: bool = False
    not_read: tuple[UnreadArray, ...] = ()
    has_recipe: bool = False
    close: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def sequences(self) -> int:
        return max((layer.sequences for layer in self.layers), default=0)

    @property
    def stored_bytes(self) -> int:
        """Of all arrays of all layers; one of two names counts twice."""
        arrays = [array for layer in self.layers for array in layer.arrays.values()]
        return sum(prod(array.shape) * array.dtype.itemsize for array in arrays)

    @property
    def timesteps(self) -> int | None:
        return next((layer.timesteps for layer in self.layers if layer.timesteps is not None), None)

    def valid_steps(self) -> Array | None:
        """Valid steps a sequence, int64, from lengths or from a mask that is a plain prefix."""
        if self.lengths is not None or self.mask is None:
            return self.lengths
        lengths: Array = self.mask.sum(axis=1, dtype=np.int64)
        plain = np.array_equal(self.mask, np.arange(self.mask.shape[1]) < lengths[:, None])
        return lengths if plain else None

    def __enter__(self) -> StateSet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def with_final(states: StateSet) -> StateSet:
    """The set with a final state wherever it has the steps: that of the last step processed.

    That is the last valid step of a sequence; for a backward layer, which a trace keeps in the
    order of the input, the first.
    """
    layers = tuple(layer_with_final(layer, states) for layer in states.layers)
    return replace(states, layers=layers)


def layer_with_final(layer: StateLayer, states: StateSet) -> StateLayer:
    """The layer with the final states that its steps tell; those stored stay as they are."""
    arrays = {key: array for key, array in layer.arrays.items() if not isinstance(array, StepOf)}
    kept_steps = layer.coordinates.get("timestep", states.timestep)
    if (
        kept_steps is not None
        and layer.timesteps is not None
        and (kept_steps[-1:] != layer.timesteps - 1).any()
    ):
        return layer  # steps were left out, and the last may be among them
    for state in ("c", "m"):
        array = arrays.get(state)
        if array is None or len(array.shape) != 3 or FINAL + state in arrays:
            continue
        arrays[FINAL + state] = StepOf(array, last_steps(layer, states, array.shape))
    return replace(layer, arrays=arrays)


def last_steps(layer: StateLayer, states: StateSet, shape: tuple[int, ...]) -> Array:
    """The step of each sequence that is processed last, int64; -1 if it has none."""
    sequences, timesteps = shape[:2]
    if layer.backward:
        return np.zeros(sequences, np.int64) - (timesteps == 0)
    lengths = states.valid_steps() if layer.counted else None
    if lengths is not None and len(lengths) == sequences:
        return np.minimum(lengths, timesteps) - 1
    if states.mask is not None and layer.counted and states.mask.shape == (sequences, timesteps):
        turned = states.mask[:, ::-1]
        last: Array = np.where(turned.any(axis=1), timesteps - 1 - turned.argmax(axis=1), -1)
        return last
    return np.full(sequences, timesteps - 1)
