"""The layout of a trace: groups, datasets, and a dimension scale on every axis.

It is a description first, so that the arrays of a file which another run began are found as they
are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnscope.errors import OptionError, TraceError, spell
from rnnscope.files.hdf5.safe_hdf5 import child
from rnnscope.model.cell import Array
from rnnscope.trace.arrays import OVER_TIME, Arrays, check_layer, layer_arrays
from rnnscope.trace.attributes import FULL, FULL_TIMESTEPS, SELECTION, encode_layer
from rnnscope.trace.blocks import Destination, RaggedDestination
from rnnscope.trace.labels import label
from rnnscope.trace.schema import (
    FINAL,
    INITIAL,
    INPUT,
    INPUT_STEPS,
    INPUT_TIMESTEP,
    LENGTHS,
    MASK,
    OFFSETS,
    OUTPUTS,
    SEQUENCE,
    STATE_M,
    STEP,
    TIMESTEP,
    LayerHeader,
    group_paths,
)
from rnnscope.trace.selection import Selection
from rnnscope.trace.storage import Compression, chunk_shape, creation, filters

MAX_REFERENCES = 2000
"""An axis' scale lists the arrays that have it, in 16 bytes each; HDF5's oldest format has room for
4,000, and pooling adds some."""

SINCE_HDF5_1_8 = ("v108", "v108")
"""The format of 2008, for which h5py and xarray need nothing else; it has room for any number."""


@dataclass(frozen=True, eq=False)
class TraceLayout:
    """What a trace file is made of.

    Attributes
    ----------
    layers : sequence of LayerHeader
        All of the run, in its order, whether kept or not.
    sequences, timesteps : int
        The input's size.
    has_lengths, has_mask : bool
    selection : Selection
    compress : Compression or None
    offsets : ndarray of int64 (sequence + 1,) or None
        Of a ragged trace: where each sequence begins.
    first_sequence, first_step : int
        Of a part of a run: the number of its first sequence, and in a ragged run of its first step.

    Raises
    ------
    OptionError
        The selection does not fit the run, or has nothing left to keep of an axis.
    ValueError
        A layer's header cannot be.
    """

    layers: Sequence[LayerHeader]
    sequences: int
    timesteps: int
    has_lengths: bool = False
    has_mask: bool = False
    selection: Selection = field(default_factory=Selection)
    compress: Compression | None = None
    offsets: Array | None = None
    first_sequence: int = 0
    first_step: int = 0

    def __post_init__(self) -> None:
        arrays = {name for layer in self.layers for name in layer_arrays(layer)}
        self.selection.check(
            [layer.name for layer in self.layers],
            [name for name in arrays if not name.startswith((INITIAL, FINAL))],
        )
        for layer in self.layers:
            check_layer(layer)
            if self.kept_arrays(layer):
                for dimension, size in self.sizes(layer).items():
                    self._check_some_left(layer.name, dimension, size)

    def kept_arrays(self, layer: LayerHeader) -> Arrays:
        """The arrays of a layer that are kept; none of a layer that is not."""
        arrays = layer_arrays(layer)
        if not self.selection.keeps_layer(layer.name):
            return {}
        ends = (f"{INITIAL}/", f"{FINAL}/")
        over_time = {name for name in arrays if not name.startswith(ends)}
        kept = {name for name in over_time if self.selection.keeps(name)}
        if layer.outputs_are_m and kept >= {STATE_M, OUTPUTS}:
            kept.remove(OUTPUTS)  # m under another name
        if not kept:
            return {}
        return {
            name: axes
            for name, axes in arrays.items()
            if name in kept | (arrays.keys() - over_time)
        }

    @property
    def libver(self) -> tuple[str, str] | None:
        """Which format of HDF5 the file needs; None: the oldest does, as h5py writes it."""
        arrays = sum(len(self.kept_arrays(layer)) for layer in self.layers)
        return SINCE_HDF5_1_8 if arrays > MAX_REFERENCES else None

    def sizes(self, layer: LayerHeader) -> dict[str, int]:
        """The dimensions of a layer, and their sizes if everything was kept."""
        steps = layer.timesteps or self.timesteps
        return {SEQUENCE: self.sequences, TIMESTEP: steps, **layer.dimensions()}

    def kept(self, dimension: str, size: int) -> Array | None:
        """The places of a dimension that are kept; None for all."""
        if dimension in (SEQUENCE, INPUT):
            return None
        over_time = dimension in (TIMESTEP, INPUT_TIMESTEP)
        places = self.selection.steps if over_time else self.selection.units
        return None if places is None else places.of(size)

    def is_ragged(self, layer: LayerHeader) -> bool:
        if self.offsets is None or layer.own_time:
            return False
        return layer.timesteps in (None, self.timesteps)

    def create(self, file: Any) -> None:
        """Fill an empty file with everything but numbers."""
        scales = self._create_root(file)
        paths = group_paths(layer.name for layer in self.layers)
        for position, layer in enumerate(self.layers):
            if self.kept_arrays(layer):
                self._create_layer(file.create_group(paths[layer.name]), layer, position, scales)

    def find(self, file: Any) -> tuple[dict[str, Destination], dict[str, dict[str, Destination]]]:
        """The datasets of a file: those that all layers share, and those of each kept layer.

        Raises
        ------
        KeyError
            One is not there, or has another shape or type.
        TraceError
            A link to elsewhere is in its place.
        """
        sizes = {SEQUENCE: self.sequences, TIMESTEP: self.timesteps}
        shared = {
            name: self._destination(_dataset(file, name, dtype), axes, sizes)
            for name, (dtype, axes) in self._root_arrays().items()
        }
        paths = group_paths(layer.name for layer in self.layers)
        layers = {
            layer.name: {
                name: self._destination(
                    _dataset(file, f"{paths[layer.name]}/{name}", np.dtype(layer.dtype)),
                    axes, self.sizes(layer),
                    self.offsets if self.is_ragged(layer) and axes[:2] == OVER_TIME else None,
                )
                for name, axes in arrays.items()
            }
            for layer in self.layers
            if (arrays := self.kept_arrays(layer))
        }  # fmt: skip
        return shared, layers

    def _destination(
        self, dataset: Any, axes: tuple[str, ...], sizes: Mapping[str, int],
        offsets: Array | None = None,
    ) -> Destination:  # fmt: skip
        shape = tuple(sizes[axis] for axis in axes)
        kept = tuple(self.kept(axis, sizes[axis]) for axis in axes)
        stored = tuple(
            size if places is None else len(places)
            for size, places in zip(shape, kept, strict=True)
        )
        if offsets is not None:
            stored = (int(offsets[-1]), *stored[2:])
        if dataset.shape != stored:
            raise KeyError(dataset.name)
        if offsets is not None:
            return RaggedDestination(dataset, shape, kept, offsets)
        return Destination(dataset, shape, kept)

    def _root_arrays(self) -> dict[str, tuple[np.dtype[Any], tuple[str, ...]]]:
        """What all layers share: dtypes and dimensions."""
        arrays: dict[str, tuple[np.dtype[Any], tuple[str, ...]]] = {
            INPUT_STEPS: (np.dtype(np.int64), (SEQUENCE,))
        }
        if self.has_lengths:
            arrays[LENGTHS] = (np.dtype(np.int64), (SEQUENCE,))
        if self.has_mask:
            arrays[MASK] = (np.dtype(np.int8), OVER_TIME)
        return arrays

    def _create_root(self, file: Any) -> dict[str, Any]:
        """The root's dimensions, as layers use them, and its arrays."""
        # xarray refuses a tree in which a group's dimension has another size than its parent's.
        shared = all(layer.timesteps in (None, self.timesteps) for layer in self.layers)
        time = TIMESTEP if shared else INPUT_TIMESTEP
        scales = {SEQUENCE: _scale(file, SEQUENCE, np.arange(self.sequences) + self.first_sequence)}
        if self.offsets is not None:
            _scale(file, OFFSETS, self.offsets)
            scales[STEP] = _scale(file, STEP, np.arange(self.offsets[-1]) + self.first_step)
        else:
            scales[time] = self._create_scale(file, time, self.timesteps)
        if self.selection.texts():
            file.attrs[SELECTION] = list(self.selection.texts())
        if self.selection.steps or self.offsets is not None:
            file.attrs[FULL_TIMESTEPS] = self.timesteps
        for name, (dtype, axes) in self._root_arrays().items():
            dimensions = [time if axis == TIMESTEP else axis for axis in axes]
            self._create_array(file, name, dtype, dimensions, scales)
        return scales

    def _create_layer(
        self, group: Any, layer: LayerHeader, position: int, scales: Mapping[str, Any]
    ) -> None:
        for name, value in encode_layer(layer, position).items():
            group.attrs[name] = value
        own = dict(scales)
        sizes = self.sizes(layer)
        for dimension in layer.dimensions():
            own[dimension] = self._create_scale(group, dimension, sizes[dimension])
        ragged = self.is_ragged(layer)
        if TIMESTEP not in own and not ragged:
            own[TIMESTEP] = self._create_scale(group, TIMESTEP, sizes[TIMESTEP])
        arrays = self.kept_arrays(layer)
        if self.selection.texts() or ragged:
            full = {OUTPUTS: layer.output_size, **layer.widths}
            for name, size in full.items():
                group.attrs[FULL + name] = size
            group.attrs[FULL_TIMESTEPS] = sizes[TIMESTEP]
        for name, axes in arrays.items():
            stored = (STEP, *axes[2:]) if ragged and axes[:2] == OVER_TIME else axes
            self._create_array(group, name, np.dtype(layer.dtype), stored, own)
        if layer.outputs_are_m and STATE_M in arrays and self.selection.keeps(OUTPUTS):
            group[OUTPUTS] = group[STATE_M]  # a hard link: two names of one array

    def _create_scale(self, group: Any, name: str, size: int) -> Any:
        places = self.kept(name, size)
        return _scale(group, name, np.arange(size) if places is None else places)

    def _create_array(
        self, group: Any, name: str, dtype: Any, axes: Sequence[str], scales: Mapping[str, Any]
    ) -> None:
        """An empty dataset whose every axis has its scale attached."""
        shape = tuple(int(scales[axis].shape[0]) for axis in axes)
        how: dict[str, Any] = {"dcpl": creation()}
        if self.compress is not None and {TIMESTEP, STEP} & {*axes} and dtype.kind == "f":
            how = {"chunks": chunk_shape(shape, dtype.itemsize), **filters(self.compress)}
        dataset = group.create_dataset(name, shape, dtype, **how)
        for dimension, axis in zip(dataset.dims, axes, strict=True):
            dimension.attach_scale(scales[axis])
        label(dataset, name)

    def _check_some_left(self, layer: str, dimension: str, size: int) -> None:
        places = self.kept(dimension, size)
        if places is not None and not len(places):
            raise OptionError(
                "The selection leaves nothing of an axis.",
                where=f"{spell('select', str(' '.join(self.selection.texts())))}, layer {layer}",
                expected=f"places from 0 to {size - 1} of {dimension}",
                found="none of these",
            )


def _dataset(file: Any, name: str, dtype: np.dtype[Any]) -> Any:
    """A dataset of a file that may have been changed since it was laid out."""
    import h5py

    found = child(file, name, TraceError)
    if not isinstance(found, h5py.Dataset) or found.dtype != dtype:
        raise KeyError(name)
    return found


def _scale(group: Any, name: str, places: Array) -> Any:
    """A dimension with these coordinates."""
    dataset = group.create_dataset(name, data=places.astype(np.int64))
    dataset.make_scale(name)
    label(dataset, name)
    dataset.flush()  # what fails when the object is collected, h5py only remarks upon
    return dataset
