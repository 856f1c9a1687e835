"""Pooled arrays of a master that is tied anew: they are of the same run, and stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from rnnscope.errors import TraceError
from rnnscope.files.hdf5.datasets import check_storage
from rnnscope.files.hdf5.probe import begin
from rnnscope.files.hdf5.safe_hdf5 import (
    check_size,
    child_group,
    damage_as,
    has_signature,
    open_h5,
    walk_datasets,
)
from rnnscope.trace.parts.table import RUN
from rnnscope.trace.schema import POOLED

COPIED_BYTES = 16 * 2**20
"""Of an array, read and written at a time."""

OF_HDF5 = frozenset(
    {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}
)
"""Attributes that dimension scales make; they are made anew."""


def keep_pooled(replaced: Path, made: Any, run: str) -> None:
    """Take the pooled arrays of a trace over into the one that replaces it.

    Parts that were lost or damaged are made again with the numbers that they had, and with them
    what was pooled from them.

    Parameters
    ----------
    replaced : Path
        What is there under the trace's name: any file, or none. One that opens no more has nothing
        that could be kept.
    made : h5py.File
        The new master, with all its arrays but these.
    run : str
        Of which run it is: of another nothing is taken over.

    Raises
    ------
    TraceError
        They cannot be read.
    """
    if not replaced.is_file() or not has_signature(replaced) or not _opens(replaced):
        return
    try:
        with open_h5(replaced, error=TraceError) as old:
            stated = old.attrs.get(RUN)
            if not isinstance(stated, str) or stated != run:
                return
            pooled = child_group(old, POOLED, TraceError)
            if pooled is not None:
                _copy(pooled, made)
    except TraceError as error:
        raise TraceError(
            "The pooled arrays of the trace that is replaced cannot be read.",
            where=replaced,
            expected=f"a trace whose group {POOLED} is whole",
            found=error.what if error.found is None else error.found,
            hint="move it away, tie the parts, which are as they were, and pool again",
        ) from error


def _opens(path: Path) -> bool:
    with suppress(TraceError), open_h5(path, error=TraceError):
        return True
    return False


def _copy(pooled: Any, made: Any) -> None:
    """A group of pooled arrays with everything inside, coordinates before the rest."""
    arrays = [one for one in walk_datasets(pooled, TraceError) if one.shape]
    copy_attributes(pooled, made.require_group(pooled.name))
    for array in sorted(arrays, key=lambda one: not one.is_scale):
        for group in reversed(PurePosixPath(array.name).parents[:-2]):
            path = str(group)
            if path not in made:
                copy_attributes(pooled.file[path], made.create_group(path))
        new = _copied(array, made)
        copy_attributes(array, new)
        if array.is_scale:
            new.make_scale(array.name.rpartition("/")[2])
            continue
        for dimension, axis in zip(new.dims, array.dims, strict=True):
            for at in range(len(axis)):
                if axis[at].name in made:
                    dimension.attach_scale(made[axis[at].name])


def _copied(array: Any, made: Any) -> Any:
    """An array with its values, some rows at a time: there may be millions of sequences."""
    check_storage(array, TraceError)
    check_size(array, TraceError)
    if array.dtype.kind not in "fiu":
        raise TraceError(
            "A pooled array holds no numbers.", where=array.name, found=str(array.dtype)
        )
    new = made.create_dataset(array.name, array.shape, array.dtype)
    each = max(1, COPIED_BYTES // max(1, array.dtype.itemsize * math.prod(array.shape[1:])))
    for start in range(0, array.shape[0], each):
        with damage_as(TraceError, str(array.name)):
            block = array[start : start + each]
        new[start : start + each] = block
    return new


def look_ahead(trace: Path) -> None:
    """Have a trace looked at, beside what else is done, whose `pooled_names` will be asked for."""
    if trace.is_file() and has_signature(trace):
        begin(trace)


def pooled_names(trace: Path) -> list[str]:
    """The pooled arrays of a trace, ``LAYER/STATE/METHOD``; none of what is none, or damaged."""
    if not trace.is_file() or not has_signature(trace):
        return []
    with suppress(TraceError), open_h5(trace, error=TraceError) as file:
        pooled = child_group(file, POOLED, TraceError)
        if pooled is not None:
            return [str(one.name).removeprefix(f"/{POOLED}/")
                    for one in walk_datasets(pooled, TraceError) if one.ndim == 2]  # fmt: skip
    return []


def words_on_lost(names: Sequence[str]) -> str:
    """That pooled arrays went with the trace that was replaced, and which."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (
        "The pooled arrays of the trace that was replaced went with it "
        f"({', '.join(names[:5])}{more}): pool again."
    )


def copy_attributes(source: Any, target: Any) -> None:
    """The attributes of a group or an array but those that HDF5 makes itself."""
    for name in source.attrs:
        if name not in OF_HDF5:
            copy_attribute(source, target, name)


def copy_attribute(source: Any, target: Any, name: str) -> None:
    """One attribute, of the type and shape that it has."""
    stored = source.attrs.get_id(name)
    target.attrs.create(name, source.attrs[name], shape=stored.shape, dtype=stored.dtype)
