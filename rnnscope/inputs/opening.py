"""From what the user names to an `InputSource`: which array, which axes, what goes with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.containers.opening import (
    ARCHIVES,
    Container,
    MemoryArray,
    ReadNames,
    open_container,
)
from rnnscope.inputs.lengths_masks_states import (
    ArrayReference,
    LocatedArray,
    choose_name,
    find_array,
)
from rnnscope.inputs.ragged import check_offsets
from rnnscope.inputs.resets import OWN_RESETS, ResetOptions, with_resets
from rnnscope.inputs.shaping import IDS_NAME, ModelAxes, shaped
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
IN_MEMORY = "array in memory"
"""What an input that is no file is called."""


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
        source = shaped(container, path, key, ids, time_major, integers_are_ids, axes)
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
