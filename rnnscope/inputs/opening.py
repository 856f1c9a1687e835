"""From what the user names to an `InputSource`: which array, which axes, what goes with it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.arrays.stored_array import LateArray, LoadedArray, StoredArray
from rnnscope.files.containers.opening import (
    ARCHIVES,
    Container,
    MemoryArray,
    ReadNames,
    open_container,
)
from rnnscope.inputs.axes import Layout
from rnnscope.inputs.lengths_masks_states import (
    ArrayReference,
    LocatedArray,
    choose_name,
    find_array,
)
from rnnscope.inputs.ragged import check_offsets
from rnnscope.inputs.resets import OWN_RESETS, ResetOptions, with_resets
from rnnscope.inputs.sibling_arrays import (
    NO_NAMES,
    OFFSETS,
    ModelNames,
    accompany,
    is_companion,
)
from rnnscope.inputs.source import InputSource
from rnnscope.model.cell import Array

INPUT_NAMES = ("inputs", "x")
IDS_NAME = "ids"
IN_MEMORY = "array in memory"
"""What an input that is no file is called."""
MENTION_LOADED_BYTES = 64 * 2**20
"""Arrays that must be loaded whole and are larger than this are mentioned."""


def open_input(
    spec: str | PathLike[str] | Array,
    *,
    inputs_key: str | None = None,
    lengths: ArrayReference | None = None,
    mask: ArrayReference | None = None,
    initial: Mapping[str, ArrayReference] | None = None,
    ids: bool | None = None,
    integers_are_ids: bool = False,
    time_major: bool = False,
    offsets: ArrayReference | None = None,
    resets: ResetOptions = OWN_RESETS,
    names: ModelNames = NO_NAMES,
    model_names: Collection[str] = (),
    model_axes: int | None = None,
    any_axes: bool = False,
) -> InputSource:
    """Open an input array with what goes with it.

    Parameters
    ----------
    spec : str, path or ndarray
        An array; or a ``.npy``, ``.npz`` or ``.csv`` file, or ``file.h5::/dataset``,
        ``file.npz::key``; the kind is told by content. Axes are (sequence, timestep, feature); a
        2-D array of floats, or a ``.csv``, is one sequence of (timestep, feature). Of an ``.npz``
        the arrays ``inputs`` or ``x`` (else ``ids``, else the only one), ``lengths``, ``mask``,
        ``initial_c`` and ``initial_m`` (or ``<layer>/initial_c`` …) are taken by name.
    inputs_key : str, optional
        The array's name where it has another.
    lengths : str or ndarray, optional
        ``"10,6"``, or an array of integers; a key of the ``.npz``; a file (``.npy``, ``.csv``,
        ``.txt``, ``file::key``);
        ``"auto"``: trailing all-zero steps are padding; ``"none"``: do not take the file's.
    mask : str or ndarray, optional
        A key, a file or an array, booleans or 0 and 1, axes as the input's; or ``"none"``.
    initial : mapping of str to str or ndarray, optional
        ``{"initial_c": KEY or file, "<layer>/initial_m": …}``.
    ids : bool, optional
        True: integers (sequence, timestep), or (timestep,) for one sequence, that an embedding
        turns into features. None: only an array that is called ``ids`` is.
    integers_are_ids : bool
        Without `ids`: what reads the input takes ids, so that integers of at most two axes are.
    time_major : bool
        Axes are (timestep, sequence, …).
    offsets : str or ndarray, optional
        A key, a file or an array: the input is ragged, sequences of different lengths stored one
        after another in an array (step, feature), or ids (step,); sequence ``k`` is rows
        ``offsets[k]:offsets[k + 1]``. Of an ``.npz`` the array ``offsets`` is taken by name;
        ``"none"`` leaves it.
    resets : ResetOptions
        Which steps the state is reset at. Of an ``.npz`` the arrays ``resets``,
        ``episode_starts`` and ``dones`` are taken by name.
    names : ModelNames
        Names under which the model takes initial states and lengths; arrays of an ``.npz`` that
        are called so are taken as these.
    model_names : collection of str
        What the model calls its inputs: of an ``.npz`` without ``inputs``, ``x`` or ``ids`` the
        one array of such a name is taken.
    model_axes : int, optional
        How many axes the model's own input has, where the input is that and the file tells.
    any_axes : bool
        The input is the model's own: an image may have more axes than (sequence, timestep,
        feature).

    Returns
    -------
    InputSource

    Raises
    ------
    InputError
        The file, the array, its axes, or what goes with it does not fit; the message says where.
    """
    opened: Container
    if isinstance(spec, np.ndarray):
        path, name, opened = Path(IN_MEMORY), None, MemoryArray(spec)
    else:
        path, name = split_reference(fspath(spec))
        opened = open_container(path)
    container = ReadNames(opened)
    try:
        key = _choose_input(container, path, name or inputs_key, model_names, names)
        given = _given_offsets(container, path, offsets)
        axes = ModelAxes(model_axes, any_axes)
        source = _shaped(container, path, key, ids, time_major, integers_are_ids, axes)
        if given is not None:
            source = _as_ragged(source, given)
        whole = accompany(
            source,
            key,
            lengths=lengths,
            mask=mask,
            initial=initial or {},
            time_major=time_major,
            names=names,
        )
        return with_resets(whole, resets, time_major=time_major)
    except BaseException:  # nothing is swallowed: an interrupt must not leave the file open
        container.close()
        raise


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


def _given_offsets(
    container: Container, path: Path, spec: ArrayReference | None
) -> LocatedArray | None:
    if spec is None and container.kind in ARCHIVES and OFFSETS in container.names:
        spec = OFFSETS
    if spec is None or (isinstance(spec, str) and spec == "none"):
        return None
    return find_array(spec, spell("offsets"), container, path)


def _as_ragged(source: InputSource, given: LocatedArray) -> InputSource:
    """The source of one long sequence as many short ones."""
    if source.layout != "one sequence":
        raise InputError(
            "An input with offsets has no axis for sequences.",
            where=source.name,
            expected="(step,)" if source.is_ids else "(step, feature)",
            found=f"shape {source.array.shape}",
            hint=f"{spell('offsets', 'none')} ignores {given.where}",
        )
    offsets = check_offsets(given, source.timesteps)
    lengths = np.diff(offsets)
    note = (
        f"The input is ragged: {len(lengths)} sequences of {lengths.min()} to {lengths.max()} "
        f"steps, where {given.where} says that they begin."
    )
    loaded = tuple(text for text in source.notes if "is one sequence" not in text)
    return replace(
        source,
        sequences=len(lengths),
        timesteps=int(lengths.max()),
        layout="ragged",
        offsets=offsets,
        notes=(*loaded, note),
    )


def _choose_input(
    container: Container,
    path: Path,
    name: str | None,
    model_names: Collection[str] = (),
    names: ModelNames = NO_NAMES,
) -> str:
    """The name of the input array among those of the file."""
    if name is None and container.kind in ARCHIVES:
        known = [key for key in INPUT_NAMES if key in container.names]
        if not known and IDS_NAME in container.names:
            known = [IDS_NAME]
        if not known:
            known = [key for key in container.names if key in model_names]
        if not known:
            known = [key for key in container.names if not is_companion(key) and key not in names]
        if len(known) == 1:
            return known[0]
    if name is None and container.kind == "hdf5":
        raise InputError(
            "An HDF5 file needs the dataset's name.",
            where=path,
            expected=f"{path}::/DATASET",
            found=", ".join(f"/{key}" for key in container.names) or "no datasets of numbers",
            hint="name the dataset after two colons",
        )
    return choose_name(container, path, name.strip("/") if name else name, spell("inputs"))


def _shaped(
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
