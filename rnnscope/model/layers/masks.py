"""The layers that make a mask: Embedding, Masking, and a mask that the file holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.layers.deferred_table import DeferredTable
from rnnscope.model.signal import Layer, Signal


def _as_ids(values: Array, where: str) -> Array:
    """Integer ids, also from a float array that holds whole numbers only."""
    if values.dtype.kind in "iu":
        return values
    ids = np.trunc(values) if values.dtype.kind == "f" else values
    if values.dtype.kind != "f" or not np.array_equal(ids, values):
        raise InputError(
            "An embedding needs integer ids.",
            where=where,
            expected="integers, or floats that are whole numbers",
            found=f"{values.dtype} values that are not",
        )
    return ids.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Embedding(Layer):
    """Rows of a table, looked up by id.

    Attributes
    ----------
    table : ndarray or DeferredTable (id, feature)
    mask_zero : bool
        True if id 0 is padding: the layer then makes a mask.
    name : str
        The layer's name, for messages.
    """

    table: Array | DeferredTable
    mask_zero: bool = False
    name: str = "embedding"
    kind: str = "Embedding"
    step_by_step = True
    takes_ids = True
    makes_mask = True

    def __call__(self, *signals: Signal) -> Signal:
        """Look up ids (sequence, timestep).

        Raises
        ------
        InputError
            An id is not a whole number, or lies outside the table; it names the first such place.
        """
        (signal,) = signals
        ids = _as_ids(signal.values, self.name)
        outside = (ids < 0) | (ids >= len(self.table))
        if outside.any():
            place = tuple(int(axis) for axis in np.argwhere(outside)[0])
            raise InputError(
                f"Embedding '{self.name}' has no row for an id of the input.",
                where=f"input {list(place)}",
                expected=f"ids from 0 to {len(self.table) - 1}",
                found=int(ids[place]),
            )
        return Signal(self.table[ids], ids != 0 if self.mask_zero else None)


@dataclass(frozen=True)
class Masking(Layer):
    """A mask that is False where every feature of a step equals `mask_value`.

    Keras also multiplies the masked steps by zero; a mask that comes in is replaced.
    """

    mask_value: float = 0.0
    kind: str = "Masking"
    step_by_step = True
    makes_mask = True

    def __call__(self, *signals: Signal) -> Signal:
        """Mask values (sequence, timestep, feature)."""
        values = signals[0].values
        # Compared in the dtype of the input, as TensorFlow does: float32 0.1 is not float64 0.1.
        mask = np.any(values != values.dtype.type(self.mask_value), axis=-1)
        return Signal(values * mask[..., None].astype(values.dtype), mask)


@dataclass(frozen=True, eq=False)
class StoredMask(Layer):
    """A mask whose values the file holds, in the place of any that comes in.

    Attributes
    ----------
    mask : ndarray of bool (sequence, timestep) or None
        One row is for every sequence. None takes the mask away.
    """

    mask: Array | None
    kind: str = "mask"

    @property
    def makes_mask(self) -> bool:
        """Unless it takes one away."""
        return self.mask is not None

    def at(self, sequences: slice) -> StoredMask:
        """The rows of some sequences."""
        return self if self._for_all else replace(self, mask=self._mask[sequences])

    def require_fit(self, sequences: int, timesteps: int, name: str) -> None:
        """Raise `InputError` unless the mask is for as many sequences and steps as there are."""
        if self.mask is None:
            return
        rows = sequences if self._for_all else len(self.mask)
        if (rows, self.mask.shape[1]) != (sequences, timesteps):
            raise InputError(
                "The file holds a constant mask that does not fit the input.",
                where=name,
                expected=f"{self.mask.shape[0]} sequences x {self.mask.shape[1]} timesteps",
                found=f"{sequences} sequences x {timesteps} timesteps",
                hint="the model was made for inputs of that size alone",
            )

    @property
    def _mask(self) -> Array:
        assert self.mask is not None
        return self.mask

    @property
    def _for_all(self) -> bool:
        """Whether every sequence has the same mask."""
        return self.mask is None or bool((self.mask == self.mask[:1]).all())

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, timestep, …) with the mask, or without any."""
        values = signals[0].values
        if self.mask is None:
            return Signal(values)
        mask = self.mask[:1] if self._for_all else self.mask
        return Signal(values, np.broadcast_to(mask, values.shape[:2]))
