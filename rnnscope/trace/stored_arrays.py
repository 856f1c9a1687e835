"""The arrays of an open trace as they are stored, by path, each read when it is asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnnscope.errors import TraceError
from rnnscope.files.arrays.array_views import Unfolded
from rnnscope.files.arrays.stored_array import Key, StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.files.hdf5.datasets import SlicedDataset, check_storage
from rnnscope.files.hdf5.safe_hdf5 import child, damage_as, open_h5
from rnnscope.model.cell import Array
from rnnscope.trace.arrays import OVER_TIME, layer_arrays
from rnnscope.trace.parts.joined import JoinedParts
from rnnscope.trace.parts.table import FOLDER
from rnnscope.trace.reader import Trace
from rnnscope.trace.schema import (
    INPUT_STEPS,
    LENGTHS,
    MASK,
    OFFSETS,
    OUTPUTS,
    PARTS,
    STATE_M,
    LayerHeader,
)
from rnnscope.trace.storage import make_readable

ABOUT_THE_INPUT = frozenset({LENGTHS, MASK, INPUT_STEPS, OFFSETS})
"""Arrays of the root that are no states: which steps are valid, and where the input is zero."""


class TraceArrays(NamedArrays):
    """The arrays of a trace that is open already, and stays open.

    Parameters
    ----------
    trace : Trace
    """

    def __init__(self, trace: Trace) -> None:
        names = tuple(_datasets(opened_file(trace)))
        super().__init__(trace.path, "hdf5", names, lambda name: _array(trace, name))
        self.trace = trace


def reading_parts(arrays: NamedArrays) -> NamedArrays:
    """The arrays of a file; where it is the master of a trace in parts, read from these.

    Raises
    ------
    TraceError
        Parts are missing or damaged.
    """
    if arrays.kind != "hdf5":
        return arrays
    with open_h5(arrays.path, error=TraceError) as file:
        if FOLDER not in file.attrs:
            return arrays
    arrays.close()
    trace = Trace.open(arrays.path)
    return NamedArrays(
        arrays.path, arrays.kind, arrays.names, lambda name: _array(trace, name), trace.close,
        arrays.part,
    )  # fmt: skip


class PartedArray:
    """An array whose values are in the parts of a trace."""

    def __init__(self, parts: JoinedParts, dataset: Any) -> None:
        self._parts, self._dataset = parts, dataset
        self.shape: tuple[int, ...] = tuple(dataset.shape)
        self.dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        """A part of the array; `out`, of its shape and dtype, is filled."""
        found = self._parts.read(self._dataset, key)
        if out is None:
            return np.ascontiguousarray(found.astype(self.dtype, copy=False))
        out[...] = found
        return out


class TimeArray(NamedTuple):
    """An array of a layer over time, unread.

    Attributes
    ----------
    array : StoredArray (sequence, timestep, unit)
        Of a ragged trace, zeros stand past the length of a sequence.
    steps, units : ndarray of int64
        The coordinates of the last two axes: which of the run's places were kept.
    """

    array: StoredArray
    steps: Array
    units: Array


def time_arrays(trace: Trace, header: LayerHeader) -> dict[str, TimeArray]:
    """What the trace holds of a layer over time, by name as `Trace.read_array` takes it.

    Outputs that are m have its array under both names.
    """
    group = layer_paths(trace)[header.name]
    over_time = [name for name, axes in layer_arrays(header).items() if axes[:2] == OVER_TIME]
    found = {
        name: _time_array(trace, f"{group}/{name}")
        for name in dict.fromkeys((*header.widths, *over_time))
        if child(opened_file(trace), f"{group}/{name}", TraceError) is not None
    }
    if header.outputs_are_m and STATE_M in found:
        found[OUTPUTS] = found[STATE_M]
    return found


def _time_array(trace: Trace, path: str) -> TimeArray:
    array: StoredArray = _array(trace, path)
    dataset: Any = child(opened_file(trace), path, TraceError)
    axes = dataset.dims
    units = _coordinates(axes[len(axes) - 1], array.shape[-1])
    if trace.offsets is None or len(array.shape) == 3:
        return TimeArray(array, _coordinates(axes[1], array.shape[1]), units)
    lengths = np.diff(trace.offsets)
    array = Unfolded(array, trace.offsets[:-1], lengths, trace.timesteps)
    return TimeArray(array, np.arange(trace.timesteps), units)


def _array(trace: Trace, path: str) -> StoredArray:
    dataset = child(opened_file(trace), path, TraceError)
    if trace.parts is not None and getattr(dataset, "is_virtual", False):
        return PartedArray(trace.parts, dataset)
    check_storage(dataset, TraceError)
    make_readable(dataset)
    return SlicedDataset(dataset, f"{trace.path}::/{path}")


def _coordinates(axis: Any, size: int) -> Array:
    """The coordinates of a dimension; 0, 1, 2 … where the file lost them."""
    if not len(axis) or axis[0].shape != (size,) or axis[0].dtype.kind not in "iu":
        return np.arange(size)
    return np.asarray(axis[0][...]).astype(np.int64)


def opened_file(trace: Trace) -> Any:
    """The HDF5 file of a trace."""
    return trace._file  # noqa: SLF001  # of this package, which alone knows what is inside


def layer_paths(trace: Trace) -> dict[str, str]:
    """The group of each layer, by the layer's name; without the leading slash."""
    groups = trace._groups  # noqa: SLF001  # as above
    return {name: str(group.name).strip("/") for name, group in groups.items()}


def names_of_no_states(trace: Trace) -> frozenset[str]:
    """The datasets that describe others: coordinates of dimensions, lengths, mask, offsets."""
    datasets = _datasets(opened_file(trace))
    with damage_as(TraceError, str(trace.path)):
        scales = {name for name, dataset in datasets.items() if dataset.is_scale}
    tables = {name for name in datasets if name.startswith(f"{PARTS}/")}
    return ABOUT_THE_INPUT | scales | tables


def _datasets(file: Any) -> dict[str, Any]:
    """Every dataset of numbers by path; one of two names once."""
    import h5py

    found: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub":
            found[name] = item

    with damage_as(TraceError, str(file.filename)):
        file.visititems(note)
    return found
