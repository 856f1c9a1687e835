"""An array as the input of a run: which axes it has, and whether its numbers can be taken."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.stored_array import LateArray, LoadedArray, StoredArray
from rnnscope.files.containers.opening import ReadNames
from rnnscope.inputs.axes import Layout
from rnnscope.inputs.source import InputSource
from rnnscope.model.cell import Array

IDS_NAME = "ids"
MENTION_LOADED_BYTES = 64 * 2**20
"""Arrays that must be loaded whole and are larger than this are mentioned."""


@dataclass(frozen=True)
class ModelAxes:
    """What is known of the axes of the model's own input, where the input is that.

    Attributes
    ----------
    number : int or None
        How many there are.
    more : bool
        Whether there may be more than (sequence, timestep, feature).
    """

    number: int | None = None
    more: bool = False

    def of(self, shape: tuple[int, ...], is_ids: bool) -> tuple[str, ...] | None:
        """The names of an array's axes, if it is no ordinary sequence; None if it is one."""
        count = self.number if self.number is not None else len(shape)
        if is_ids or not (self.number is not None or self.more):
            return None
        if count == 2 and len(shape) == 2 and self.number == 2:
            return ("sequence", "feature")
        if count > 3 and len(shape) in (count, count - 1):
            return ("sequence", "timestep", *(f"axis {axis}" for axis in range(2, count)))
        return None


def shaped(
    container: ReadNames,
    path: Path,
    key: str,
    ids: bool | None,
    time_major: bool,
    integers_are_ids: bool,
    model_axes: ModelAxes,
) -> InputSource:
    """The source with its axes told apart and its dtype accepted."""
    array: StoredArray = container.array(key)
    is_ids = key.rpartition("/")[2] == IDS_NAME if ids is None else ids
    where = f"{path}::{key}" if key else str(path)
    if is_ids and container.kind == "csv":
        array = LoadedArray(_text_ids(array.read(), where))
    dtype = array.dtype
    shape = tuple(int(size) for size in array.shape)
    if is_ids and ids is None and dtype.kind == "f" and len(shape) == 3:
        is_ids = False  # an array of that name which is no ids
    taken = ids is None and integers_are_ids and dtype.kind in "iu" and len(shape) <= 2
    is_ids = is_ids or taken
    _check_numbers(dtype, is_ids, where)
    usual = ("sequence", "timestep") if is_ids else ("sequence", "timestep", "feature")
    own = model_axes.of(shape, is_ids)
    axes = own or usual
    counts = (2,) if len(axes) == 2 and own else (len(axes), len(axes) - 1)
    if len(shape) not in counts or 0 in shape:
        raise InputError(
            "The input has no steps." if 0 in shape else "The input has the wrong number of axes.",
            where=where,
            expected=f"({', '.join(axes)}), or ({', '.join(axes[1:])}) for one sequence",
            found=f"shape {shape}, {dtype}",
            hint=_axes_hint(shape)
            if is_ids or 0 in shape or dtype.kind == "f"
            else f"are they ids for an embedding? Then call the array 'ids', or say {spell('ids')}",
        )
    layout: Layout = "time major" if time_major else "sequence first"
    notes = _loaded_note(array, where)
    if taken:
        notes += (f"The integers of shape {shape} are ids: the model begins with an embedding.",)
    if len(shape) == len(axes) - 1:
        layout = "one sequence"
        notes += (f"The input of shape {shape} is one sequence: ({', '.join(axes[1:])}).",)
        shape = (1, *shape)
    elif time_major:
        shape = (shape[1], shape[0], *shape[2:])
    return InputSource(
        name=f"{path.name}::{key}" if key else path.name,
        path=path,
        sequences=shape[0],
        timesteps=shape[1],
        features=None if is_ids or own else shape[2],
        item_shape=shape[2:] if own else None,
        dtype=dtype,
        is_ids=is_ids,
        container=container,
        array=array,
        layout=layout,
        notes=notes,
    )


def _axes_hint(shape: tuple[int, ...]) -> str | None:
    """What to do about an array of more axes than a sequence has."""
    if len(shape) <= 3 or 0 in shape:
        return None
    return f"is this the model's own input, an image? Then say {spell('model_input')}"


def _loaded_note(array: StoredArray, where: str) -> tuple[str, ...]:
    size = 0
    if isinstance(array, (LoadedArray, LateArray)):
        size = math.prod(array.shape) * array.dtype.itemsize
    if size <= MENTION_LOADED_BYTES:
        return ()
    return (
        (
            f"{where} is compressed or text, so that all of it is in memory ({size / 1e6:.0f} MB): "
            "an .npy file or numpy.savez is read in slices."
        ),
    )


def _text_ids(table: Array, where: str) -> Array:
    """Ids of a text file: one column is one sequence, else each row is."""
    if not (np.isfinite(table) & (table == np.trunc(table))).all():
        raise InputError("Ids must be whole numbers.", where=where, expected="integers")
    whole = table.astype(np.int64)
    return whole[:, 0] if whole.shape[1] == 1 else whole


def _check_numbers(dtype: np.dtype[Any], is_ids: bool, where: str) -> None:
    if is_ids and dtype.kind not in "iu":
        raise InputError(
            "Ids must be integers.", where=where, expected="an integer array", found=str(dtype)
        )
    # longdouble has no place in a cell: it would be narrowed without a word
    if dtype.kind not in "fiub" or dtype.itemsize > np.dtype(np.float64).itemsize:
        raise InputError(
            "The input is not an array of real numbers.",
            where=where,
            expected="float32 or float64 (float16, integers and booleans are widened)",
            found=str(dtype),
        )
