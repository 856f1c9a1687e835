"""The layout of a trace: groups, arrays, and coordinates for every axis.

It is a description first, so that the arrays of a file which another run began are found as they
are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.model.cell import Array
from rnnscope.model.resets import ResetState
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
    RESET_STATE,
    RESETS,
    SEQUENCE,
    STATE_M,
    STEP,
    TIMESTEP,
    LayerHeader,
    group_paths,
)
from rnnscope.trace.selection import Selection
from rnnscope.trace.stores.interface import NewArray, WritableArray, WritableGroup


@dataclass(frozen=True, eq=False)
class TraceLayout:
    """What a trace is made of.

    Attributes
    ----------
    layers : sequence of LayerHeader
        All of the run, in its order, whether kept or not.
    sequences, timesteps : int
        The input's size.
    has_lengths, has_mask : bool
    resets : ResetState or None
        What the state returns to where it is reset; None where it never is.
    selection : Selection
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
    resets: ResetState | None = None
    selection: Selection = field(default_factory=Selection)
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
    def array_count(self) -> int:
        """How many arrays the layers have that are kept."""
        return sum(len(self.kept_arrays(layer)) for layer in self.layers)

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

    def create(self, root: WritableGroup) -> None:
        """Fill an empty store with everything but numbers."""
        scales = self._create_root(root)
        paths = group_paths(layer.name for layer in self.layers)
        for position, layer in enumerate(self.layers):
            if self.kept_arrays(layer):
                self._create_layer(root.create_group(paths[layer.name]), layer, position, scales)

    def find(
        self, root: WritableGroup
    ) -> tuple[dict[str, Destination], dict[str, dict[str, Destination]]]:
        """The arrays of a store: those that all layers share, and those of each kept layer.

        Raises
        ------
        KeyError
            One is not there, or has another shape or type.
        TraceError
            A link to elsewhere is in its place.
        """
        sizes = {SEQUENCE: self.sequences, TIMESTEP: self.timesteps}
        shared = {
            name: self._destination(_stored(root, name, dtype), axes, sizes)
            for name, (dtype, axes) in self._root_arrays().items()
        }
        paths = group_paths(layer.name for layer in self.layers)
        layers = {
            layer.name: {
                name: self._destination(
                    _stored(root, f"{paths[layer.name]}/{name}", np.dtype(layer.dtype)),
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
        self, array: WritableArray, axes: tuple[str, ...], sizes: Mapping[str, int],
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
        if array.shape != stored:
            raise KeyError(array.path)
        if offsets is not None:
            return RaggedDestination(array, shape, kept, offsets)
        return Destination(array, shape, kept)

    def _root_arrays(self) -> dict[str, tuple[np.dtype[Any], tuple[str, ...]]]:
        """What all layers share: dtypes and dimensions."""
        arrays: dict[str, tuple[np.dtype[Any], tuple[str, ...]]] = {
            INPUT_STEPS: (np.dtype(np.int64), (SEQUENCE,))
        }
        if self.has_lengths:
            arrays[LENGTHS] = (np.dtype(np.int64), (SEQUENCE,))
        if self.has_mask:
            arrays[MASK] = (np.dtype(np.int8), OVER_TIME)
        if self.resets is not None:
            arrays[RESETS] = (np.dtype(np.int8), OVER_TIME)
        return arrays

    def _create_root(self, root: WritableGroup) -> dict[str, WritableArray]:
        """The root's dimensions, as layers use them, and its arrays."""
        # xarray refuses a tree in which a group's dimension has another size than its parent's.
        shared = all(layer.timesteps in (None, self.timesteps) for layer in self.layers)
        time = TIMESTEP if shared else INPUT_TIMESTEP
        sequences = np.arange(self.sequences) + self.first_sequence
        scales = {SEQUENCE: _scale(root, SEQUENCE, sequences)}
        if self.offsets is not None:
            _scale(root, OFFSETS, self.offsets)
            scales[STEP] = _scale(root, STEP, np.arange(self.offsets[-1]) + self.first_step)
        else:
            scales[time] = self._create_scale(root, time, self.timesteps)
        if self.selection.texts():
            root.set_attribute(SELECTION, list(self.selection.texts()))
        if self.selection.steps or self.offsets is not None:
            root.set_attribute(FULL_TIMESTEPS, self.timesteps)
        for name, (dtype, axes) in self._root_arrays().items():
            dimensions = [time if axis == TIMESTEP else axis for axis in axes]
            array = self._create_array(root, name, dtype, dimensions, scales)
            if name == RESETS and self.resets is not None:
                array.set_attribute(RESET_STATE, self.resets)
        return scales

    def _create_layer(
        self,
        group: WritableGroup,
        layer: LayerHeader,
        position: int,
        scales: Mapping[str, WritableArray],
    ) -> None:
        for name, value in encode_layer(layer, position).items():
            group.set_attribute(name, value)
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
                group.set_attribute(FULL + name, size)
            group.set_attribute(FULL_TIMESTEPS, sizes[TIMESTEP])
        for name, axes in arrays.items():
            stored = (STEP, *axes[2:]) if ragged and axes[:2] == OVER_TIME else axes
            self._create_array(group, name, np.dtype(layer.dtype), stored, own)
        if layer.outputs_are_m and STATE_M in arrays and self.selection.keeps(OUTPUTS):
            group.create_name(OUTPUTS, STATE_M)  # two names of one array

    def _create_scale(self, group: WritableGroup, name: str, size: int) -> WritableArray:
        places = self.kept(name, size)
        return _scale(group, name, np.arange(size) if places is None else places)

    def _create_array(
        self,
        group: WritableGroup,
        name: str,
        dtype: np.dtype[Any],
        axes: Sequence[str],
        scales: Mapping[str, WritableArray],
    ) -> WritableArray:
        """An array without values, every axis of which has its coordinates."""
        shape = tuple(int(scales[axis].shape[0]) for axis in axes)
        over_time = bool({TIMESTEP, STEP} & {*axes})
        new = NewArray(shape, dtype, tuple(axes), over_time)
        array = group.create_array(name, new, scales)
        label(array, name)
        return array

    def _check_some_left(self, layer: str, dimension: str, size: int) -> None:
        places = self.kept(dimension, size)
        if places is not None and not len(places):
            raise OptionError(
                "The selection leaves nothing of an axis.",
                where=f"{spell('select', str(' '.join(self.selection.texts())))}, layer {layer}",
                expected=f"places from 0 to {size - 1} of {dimension}",
                found="none of these",
            )


def _stored(root: WritableGroup, name: str, dtype: np.dtype[Any]) -> WritableArray:
    """An array of a store that may have been changed since it was laid out."""
    found = root.writable(name)
    if found is None or found.dtype != dtype:
        raise KeyError(name)
    return found


def _scale(group: WritableGroup, name: str, places: Array) -> WritableArray:
    """A dimension with these coordinates."""
    array = group.create_coordinates(name, places.astype(np.int64))
    label(array, name)
    array.flush()
    return array
