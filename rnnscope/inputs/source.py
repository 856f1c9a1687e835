"""An input array with its lengths, mask and initial states, read in slices of sequences."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from rnnscope.cell import Array
from rnnscope.errors import InputError
from rnnscope.inputs.containers import Container, StoredArray

Layout = Literal["sequence first", "time major", "one sequence"]
"""Which axis of the stored array is which: its first two are (sequence, timestep), (timestep,
sequence), or it has no sequence axis."""

HASH_BLOCK_BYTES = 2**20


@dataclass(frozen=True, eq=False)
class InputBatch:
    """Some sequences of an input.

    Attributes
    ----------
    values : ndarray (sequence, timestep, feature), or (sequence, timestep) for ids
        C-contiguous, in the file's own dtype, native byte order. It may be read-only.
    lengths : ndarray of int64 (sequence,) or None
        Valid steps a sequence.
    mask : ndarray of bool (sequence, timestep) or None
        True at valid steps; given whenever lengths or a mask are.
    initial : dict of str to dict of str to ndarray (sequence, width)
        State before the first step, by layer name (``""``: not named) and state name.
    input_steps : ndarray of int64 (sequence,)
        Steps up to and including the last one that is not all zero.
    """

    values: Array
    lengths: Array | None
    mask: Array | None
    initial: dict[str, dict[str, Array]]
    input_steps: Array


@dataclass(eq=False)
class InputSource:
    """An input array as a file holds it; `open_input` makes one. Close it, or use ``with``.

    Attributes
    ----------
    name : str
        The file's own name, with the array's key or dataset where it has one.
    path : Path
    sequences, timesteps : int
    features : int or None
        None for ids.
    dtype : dtype
        As stored. Integers, bools and float16 are widened by whoever runs the cell.
    is_ids : bool
        True for integers that an embedding turns into features.
    lengths : ndarray of int64 (sequence,) or None
        Given, found by ``auto``, or read from a mask that is a plain prefix.
    mask : ndarray of bool (sequence, timestep) or None
        As given; None where lengths alone are.
    initial : dict of str to dict of str to ndarray (sequence, width)
    notes : tuple of str
        What was assumed or left unused, one sentence each.
    """

    name: str
    path: Path
    sequences: int
    timesteps: int
    features: int | None
    dtype: np.dtype[Any]
    is_ids: bool
    container: Container
    array: StoredArray
    layout: Layout
    lengths: Array | None = None
    mask: Array | None = None
    initial: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def read(self, sequences: slice = slice(None)) -> InputBatch:
        """Read some sequences, all timesteps, and nothing else of the array.

        Parameters
        ----------
        sequences : slice
            Of step 1.

        Raises
        ------
        InputError
            A value is NaN or infinite; it names sequence, timestep and feature.
        """
        first, stop, _ = sequences.indices(self.sequences)
        values = self.values(first, stop)
        self._refuse_nonfinite(values, first)
        rows = slice(first, stop)
        lengths = None if self.lengths is None else self.lengths[rows]
        mask = None if self.mask is None else self.mask[rows]
        if mask is None and lengths is not None:
            mask = np.arange(self.timesteps) < lengths[:, None]
        initial = {
            layer: {state: array[rows] for state, array in states.items()}
            for layer, states in self.initial.items()
        }
        return InputBatch(values, lengths, mask, initial, steps_with_input(values, self.is_ids))

    def values(self, first: int, stop: int) -> Array:
        """Sequences `first` to `stop` as stored, (sequence, timestep, …), C-contiguous."""
        if self.layout == "time major":
            part = np.asarray(self.array[:, first:stop]).swapaxes(0, 1)
        elif self.layout == "one sequence":
            part = np.asarray(self.array[...])[None][first:stop]
        else:
            part = np.asarray(self.array[first:stop])
        return np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("="))

    def sha256(self) -> str:
        """The SHA-256 of the input's file, in hexadecimal."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while block := file.read(HASH_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def close(self) -> None:
        self.container.close()

    def __enter__(self) -> InputSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _refuse_nonfinite(self, values: Array, first: int) -> None:
        if values.dtype.kind != "f":
            return
        finite = np.isfinite(values)
        if finite.all():
            return
        row, step, feature = (int(i) for i in np.unravel_index(np.argmin(finite), finite.shape))
        valid = self.timesteps if self.lengths is None else int(self.lengths[first + row])
        padding = f"the step is padding (length {valid}): " if step >= valid else ""
        raise InputError(
            "The input holds a value that is not a finite number.",
            where=f"{self.path}, sequence {first + row}, timestep {step}, feature {feature}",
            expected="finite numbers",
            found=values[row, step, feature],
            hint=f"{padding}fill it with 0, or repair the data",
        )


def steps_with_input(values: Array, is_ids: bool) -> Array:
    """Steps up to and including the last one that is not all zero, int64 (sequence,)."""
    used = values != 0 if is_ids else np.any(values, axis=2)
    last = used.shape[1] - np.argmax(used[:, ::-1], axis=1)
    return np.where(used.any(axis=1), last, 0).astype(np.int64)
