"""The arrays of an open trace as they are stored, by path, each read when it is asked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnscope.errors import TraceError
from rnnscope.files.arrays.array_views import Unfolded
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.files.hdf5.safe_hdf5 import open_h5
from rnnscope.model.cell import Array
from rnnscope.trace.arrays import OVER_TIME, layer_arrays
from rnnscope.trace.parts.table import FOLDER
from rnnscope.trace.reader import Trace
from rnnscope.trace.schema import (
    INPUT_STEPS,
    LENGTHS,
    MASK,
    OFFSETS,
    OUTPUTS,
    PARTS,
    RESETS,
    STATE_M,
    LayerHeader,
)
from rnnscope.trace.stores.interface import ArrayNode, GroupNode

ABOUT_THE_INPUT = frozenset({LENGTHS, MASK, RESETS, INPUT_STEPS, OFFSETS})
"""Arrays of the root that are no states: which steps are valid, and where the input is zero."""


class TraceArrays(NamedArrays):
    """The arrays of an open trace.

    Parameters
    ----------
    trace : Trace
    owned : bool
        Closing the arrays closes the trace.
    names : tuple of str, optional
        Those of some arrays, in place of all.
    part : str, optional
        What was named after ``::``.
    """

    def __init__(
        self,
        trace: Trace,
        *,
        owned: bool = False,
        names: tuple[str, ...] | None = None,
        part: str | None = None,
    ) -> None:
        root = root_of(trace)
        super().__init__(
            trace.path,
            root.kind,
            tuple(root.arrays()) if names is None else names,
            lambda name: _node(trace, name).lazily(),
            trace.close if owned else lambda: None,
            part,
        )
        self.trace, self._owned = trace, owned

    def only(self, names: tuple[str, ...], part: str) -> TraceArrays:
        """The same with some of its names."""
        return TraceArrays(self.trace, owned=self._owned, names=names, part=part)


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
        arrays.path, arrays.kind, arrays.names, lambda name: _node(trace, name).lazily(),
        trace.close, arrays.part,
    )  # fmt: skip


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
        if f"{group}/{name}" in root_of(trace)
    }
    if header.outputs_are_m and STATE_M in found:
        found[OUTPUTS] = found[STATE_M]
    return found


def _time_array(trace: Trace, path: str) -> TimeArray:
    node = _node(trace, path)
    array: StoredArray = node.lazily()
    units = _coordinates(node, -1)
    if trace.offsets is None or len(array.shape) == 3:
        return TimeArray(array, _coordinates(node, 1), units)
    lengths = np.diff(trace.offsets)
    array = Unfolded(array, trace.offsets[:-1], lengths, trace.timesteps)
    return TimeArray(array, np.arange(trace.timesteps), units)


def _node(trace: Trace, path: str) -> ArrayNode:
    array = root_of(trace).array(path)
    if array is None:
        raise KeyError(path)
    return array


def _coordinates(node: ArrayNode, axis: int) -> Array:
    """The coordinates of an axis; 0, 1, 2 … where the store lost them."""
    size = node.shape[axis]
    found = node.coordinates(axis % len(node.shape))
    if found is None or found.shape != (size,) or found.dtype.kind not in "iu":
        return np.arange(size)
    return found.read().astype(np.int64)


def root_of(trace: Trace) -> GroupNode:
    """The root group of a trace."""
    return trace._root  # noqa: SLF001  # of this package, which alone knows what is inside


def layer_paths(trace: Trace) -> dict[str, str]:
    """The group of each layer, by the layer's name; without the leading slash."""
    groups = trace._groups  # noqa: SLF001  # as above
    return {name: group.path.strip("/") for name, group in groups.items()}


def names_of_no_states(trace: Trace) -> frozenset[str]:
    """The arrays that describe others: coordinates of dimensions, lengths, mask, offsets."""
    arrays = root_of(trace).arrays()
    about = {name for name, array in arrays.items()
             if array.is_coordinate or name.startswith(f"{PARTS}/")}  # fmt: skip
    return ABOUT_THE_INPUT | about
