"""Laying out an empty trace: groups, datasets, and a dimension scale on every axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.trace.attributes import encode_layer
from rnnscope.trace.blocks import Destination
from rnnscope.trace.schema import (
    DTYPES,
    FINAL,
    GATES,
    INITIAL,
    INPUT_STEPS,
    INPUT_TIMESTEP,
    LENGTHS,
    MASK,
    OUTPUT,
    OUTPUTS,
    SEQUENCE,
    STATE_M,
    TIMESTEP,
    UNIT,
    LayerHeader,
)

Scales = dict[str, Any]
Arrays = dict[str, tuple[np.dtype[Any], tuple[str, ...]]]
"""Datasets by path in their group: dtype and dimensions."""


def lay_out_root(
    file: Any,
    layers: Sequence[LayerHeader],
    size: tuple[int, int],
    has_lengths: bool,
    has_mask: bool,
) -> Scales:
    """Write the root's dimensions and create what all layers share (`root_arrays`).

    Parameters
    ----------
    file : h5py.File
    layers : sequence of LayerHeader
    size : (sequences, timesteps) of the input

    Returns
    -------
    dict
        The scales that layers use: ``sequence``, and ``timestep`` unless their steps differ.
    """
    sequences, timesteps = size
    # xarray refuses a tree in which a group's dimension has another size than its parent's.
    shared = all(layer.timesteps in (None, timesteps) for layer in layers)
    time = TIMESTEP if shared else INPUT_TIMESTEP
    scales = {SEQUENCE: _scale(file, SEQUENCE, sequences), time: _scale(file, time, timesteps)}
    arrays = root_arrays(has_lengths, has_mask)
    for name, (dtype, axes) in arrays.items():
        _create(file, name, dtype, [time if axis == TIMESTEP else axis for axis in axes], scales)
    return scales


def root_arrays(has_lengths: bool, has_mask: bool) -> Arrays:
    """What all layers share: names, dtypes and dimensions."""
    arrays: Arrays = {INPUT_STEPS: (np.dtype(np.int64), (SEQUENCE,))}
    if has_lengths:
        arrays[LENGTHS] = (np.dtype(np.int64), (SEQUENCE,))
    if has_mask:
        arrays[MASK] = (np.dtype(np.int8), (SEQUENCE, TIMESTEP))
    return arrays


def layer_arrays(header: LayerHeader) -> Arrays:
    """The arrays of a layer's group: names, dtypes and dimensions."""
    dtype = np.dtype(header.dtype)
    axes: dict[str, tuple[str, ...]] = {}
    if not header.outputs_are_m:
        axes[OUTPUTS] = (SEQUENCE, TIMESTEP, OUTPUT)
    axes |= {f"{GATES}/{gate}": (SEQUENCE, TIMESTEP, UNIT) for gate in header.gates}
    for state in header.widths:
        dimension = header.state_dimension(state)
        axes[state] = (SEQUENCE, TIMESTEP, dimension)
        axes |= {f"{when}/{state}": (SEQUENCE, dimension) for when in (INITIAL, FINAL)}
    return {name: (dtype, dimensions) for name, dimensions in axes.items()}


def destinations(group: Any, arrays: Arrays) -> dict[str, Destination]:
    """The datasets of a group, by path in it.

    Raises
    ------
    KeyError
        One is not there.
    """
    return {name: Destination(group[name]) for name in arrays}


def lay_out_layer(
    file: Any,
    path: str,
    header: LayerHeader,
    *,
    position: int,
    scales: Scales,
    timesteps: int,
) -> None:
    """Create one layer's group with its attributes, dimensions and empty arrays (`layer_arrays`).

    Parameters
    ----------
    file : h5py.File
    path : str
        The group's, from `rnnscope.trace.schema.group_paths`.
    header : LayerHeader
    position : int
        The layer's place in the run.
    scales : dict
        From `lay_out_root`.
    timesteps : int
        The input's; the layer's own where the header does not say otherwise.
    """
    if header.dtype not in DTYPES:
        raise ValueError(f"layer {header.name}: a trace holds {DTYPES}, not {header.dtype}")
    if header.outputs_are_m:
        _check_outputs_are_m(header)
    group = file.create_group(path)
    for name, value in encode_layer(header, position).items():
        group.attrs[name] = value
    own = dict(scales)
    for dimension, size in header.dimensions().items():
        own[dimension] = _scale(group, dimension, size)
    if TIMESTEP not in own:
        own[TIMESTEP] = _scale(group, TIMESTEP, header.timesteps or timesteps)
    for name, (dtype, axes) in layer_arrays(header).items():
        _create(group, name, dtype, axes, own)
    if header.outputs_are_m:
        group[OUTPUTS] = group[STATE_M]  # a hard link: two names of one array


def _check_outputs_are_m(header: LayerHeader) -> None:
    if (
        header.widths.get(STATE_M) != header.output_size
        or not header.known_facts.outputs_in_input_order
    ):
        raise ValueError(f"layer {header.name}: its outputs cannot be m")


def _scale(group: Any, name: str, size: int) -> Any:
    """A dimension with coordinates 0 … size - 1."""
    dataset = group.create_dataset(name, data=np.arange(size, dtype=np.int64))
    dataset.make_scale(name)
    return dataset


def _create(group: Any, name: str, dtype: Any, axes: Sequence[str], scales: Scales) -> None:
    """An empty dataset whose every axis has its scale attached."""
    shape = tuple(int(scales[axis].shape[0]) for axis in axes)
    dataset = group.create_dataset(name, shape, dtype, dcpl=_creation())
    for dimension, axis in zip(dataset.dims, axes, strict=True):
        dimension.attach_scale(scales[axis])


def _creation() -> Any:
    """Contiguous, its place in the file known at once, and nothing written there in advance.

    So writing moves no structure of the file, and is as fast as the disk takes it.
    """
    import h5py

    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return creation
