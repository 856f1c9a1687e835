"""An input array with its lengths, mask and initial states, read in slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.opening import ReadNames
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.files.writing.closing import Closing
from rnnscope.inputs.axes import Layout, read_block
from rnnscope.inputs.batch import InputBatch, last_input_step
from rnnscope.inputs.ragged import read_ragged
from rnnscope.model.cell import Array
from rnnscope.model.resets import ResetState

CHECK_VALUES = 2**16
"""Values that are looked at together: they are still in the processor's cache."""


@dataclass(eq=False)
class InputSource(Closing):
    """An input array as a file holds it; `open_input` makes one. Close it, or use ``with``.

    Attributes
    ----------
    name : str
        The file's own name, with the array's key or dataset where it has one.
    path : Path
    sequences, timesteps : int
    features : int or None
        None for ids, and where a timestep is no row of features: see `item_shape`.
    dtype : dtype
        As stored. Integers, bools and float16 are widened by whoever runs the cell.
    is_ids : bool
        True for integers that an embedding turns into features.
    lengths : ndarray of int64 (sequence,) or None
        LocatedArray, found by ``auto``, or read from a mask that is a plain prefix.
    mask : ndarray of bool (sequence, timestep) or None
        As given; None where lengths alone are.
    initial : dict of str to dict of str to ndarray (sequence, width)
    resets : ndarray of bool (sequence, timestep) or None
        Steps before which the state returns to `reset_state`.
    reset_state : ResetState
    notes : tuple of str
        What was assumed or left unused, one sentence each.
    offsets : ndarray of int64 (sequence + 1,) or None
        Where each sequence begins in a ragged input, which holds no padding: `read` adds it, zeros
        up to `timesteps`, the length of the longest.
    item_shape : tuple of int or None
        The axes behind (sequence, timestep) of a model's own input that is no sequence of rows of
        features: an image has more of them, a row of features none. None for every other input.
    allow_nan : bool
        NaN and infinity are read as they are.
    nonfinite : list of str
        Where the first of them was, once one was read.
    """

    name: str
    path: Path
    sequences: int
    timesteps: int
    features: int | None
    dtype: np.dtype[Any]
    is_ids: bool
    container: ReadNames
    array: StoredArray
    layout: Layout
    lengths: Array | None = None
    mask: Array | None = None
    initial: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    resets: Array | None = None
    reset_state: ResetState = "initial"
    notes: tuple[str, ...] = ()
    offsets: Array | None = None
    item_shape: tuple[int, ...] | None = None
    allow_nan: bool = False
    nonfinite: list[str] = field(default_factory=list)

    @property
    def shape_of_step(self) -> tuple[int, ...]:
        """What one timestep of one sequence is: ``(features,)``, ``()`` for ids."""
        if self.item_shape is not None:
            return self.item_shape
        return () if self.features is None else (self.features,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Axes (sequence, timestep, …)."""
        return (self.sequences, self.timesteps, *self.shape_of_step)

    def read(
        self,
        sequences: slice = slice(None),
        steps: slice = slice(None),
        *,
        pad_to: int | None = None,
        out: Array | None = None,
    ) -> InputBatch:
        """Read some steps of some sequences, and nothing else of the array.

        Parameters
        ----------
        sequences, steps : slice
            Of step 1.
        pad_to : int, optional
            Leave out the timesteps from here on; instead of `steps`, for sequences that are all
            that short.
        out : ndarray (sequence, timestep, …), optional
            Filled and returned as the batch's values: using one buffer again and again is quicker
            than new memory for each slice. C-contiguous, of the slice's shape and `dtype`.

        Raises
        ------
        InputError
            A value is NaN or infinite; it names sequence, timestep and feature.
        """
        if pad_to is not None:
            steps = slice(0, pad_to)
        rows, columns = _inside(sequences, self.sequences), _inside(steps, self.timesteps)
        values = self.values(rows, columns, out)
        self._refuse_nonfinite(values, rows.start, columns.start)
        lengths = None if self.lengths is None else self.lengths[rows]
        mask = None if self.mask is None else self.mask[rows, columns]
        if mask is None and lengths is not None:
            mask = np.arange(columns.start, columns.stop) < lengths[:, None]
        initial = {
            layer: {state: array[rows] for state, array in states.items()}
            for layer, states in self.initial.items()
        }
        whole = columns == slice(0, self.timesteps)
        if self.offsets is not None and lengths is not None and columns.start == 0:
            whole = columns.stop >= lengths.max(initial=0)  # all beyond is padding of our own
        input_steps = last_input_step(values) if whole else None
        resets = None if self.resets is None else self.resets[rows, columns]
        return InputBatch(values, lengths, mask, initial, input_steps, resets)

    def values(self, sequences: slice, steps: slice, out: Array | None = None) -> Array:
        """The values of a slice, unchecked; parameters as in `read`."""
        rows, columns = _inside(sequences, self.sequences), _inside(steps, self.timesteps)
        shape = (rows.stop - rows.start, columns.stop - columns.start, *self.shape_of_step)
        if out is None:
            out = np.empty(shape, self.dtype)
        if out.shape != shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out is {out.shape} of {out.dtype}, the slice {shape} of {self.dtype}"
            )
        if self.offsets is not None:
            read_ragged(self.array, self.offsets, rows, columns, out)
        else:
            read_block(self.array, self.layout, rows, columns, out)
        return out

    def sha256(self) -> str:
        """The SHA-256 of the input's file, in hexadecimal."""
        return files_sha256([self.path])

    def close(self) -> None:
        self.container.close()

    def _refuse_nonfinite(self, values: Array, first: int, first_step: int) -> None:
        if values.dtype.kind != "f":
            return
        flat = values.reshape(-1)
        starts = range(0, flat.size, CHECK_VALUES)
        if self.allow_nan and self.nonfinite:
            return  # the first one is known
        if all(np.isfinite(flat[at : at + CHECK_VALUES]).all() for at in starts):
            return
        place = np.unravel_index(int(np.argmin(np.isfinite(flat))), values.shape)
        row, column, *features = (int(i) for i in place)
        step = first_step + column
        feature = ", ".join(map(str, features))
        valid = self.timesteps if self.lengths is None else int(self.lengths[first + row])
        padding = f"the step is padding (length {valid}): " if step >= valid else ""
        if self.allow_nan:
            where = f"sequence {first + row}, timestep {step}"
            self.nonfinite.append(f"{where}, feature {feature}" if features else where)
            return
        raise InputError(
            "The input holds a value that is not a finite number.",
            where=f"{self.path}, sequence {first + row}, timestep {step}"
            + (f", feature {feature}" if features else ""),
            expected="finite numbers",
            found=values[place],
            hint=f"{padding}fill it with 0, or repair the data; {spell('allow_nan')} computes on",
        )


def _inside(part: slice, size: int) -> slice:
    """The slice with both ends given."""
    start, stop, step = part.indices(size)
    if step != 1:
        raise ValueError(f"slices of an input have step 1, not {step}")
    return slice(start, max(start, stop))
