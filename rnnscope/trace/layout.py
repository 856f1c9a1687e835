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


def lay_out_root(
    file: Any,
    layers: Sequence[LayerHeader],
    size: tuple[int, int],
    has_lengths: bool,
    has_mask: bool,
) -> tuple[Scales, dict[str, Destination]]:
    """Write the root's dimensions and create what all layers share.

    Parameters
    ----------
    file : h5py.File
    layers : sequence of LayerHeader
    size : (sequences, timesteps) of the input

    Returns
    -------
    dict
        The scales that layers use: ``sequence``, and ``timestep`` unless their steps differ.
    dict of str to Destination
        The common datasets.
    """
    sequences, timesteps = size
    # xarray refuses a tree in which a group's dimension has another size than its parent's.
    shared = all(layer.timesteps in (None, timesteps) for layer in layers)
    time = TIMESTEP if shared else INPUT_TIMESTEP
    scales = {SEQUENCE: _scale(file, SEQUENCE, sequences), time: _scale(file, time, timesteps)}
    axes: dict[str, tuple[str, ...]] = {INPUT_STEPS: (SEQUENCE,)}
    if has_lengths:
        axes[LENGTHS] = (SEQUENCE,)
    if has_mask:
        axes[MASK] = (SEQUENCE, time)
    dtypes = {MASK: np.int8}
    common = {
        name: _create(file, name, dtypes.get(name, np.int64), dimensions, scales)
        for name, dimensions in axes.items()
    }
    return scales, common


def lay_out_layer(
    file: Any,
    path: str,
    header: LayerHeader,
    *,
    position: int,
    scales: Scales,
    timesteps: int,
) -> dict[str, Destination]:
    """Create one layer's group with its attributes, dimensions and empty datasets.

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

    Returns
    -------
    dict of str to Destination
        By path in the group: ``"c"``, ``"gates/i"``, ``"final/m"`` …
    """
    if header.dtype not in DTYPES:
        raise ValueError(f"layer {header.name}: a trace holds {DTYPES}, not {header.dtype}")
    group = file.create_group(path)
    for name, value in encode_layer(header, position).items():
        group.attrs[name] = value
    own = dict(scales)
    for dimension, size in header.dimensions().items():
        own[dimension] = _scale(group, dimension, size)
    if TIMESTEP not in own:
        own[TIMESTEP] = _scale(group, TIMESTEP, header.timesteps or timesteps)
    dtype = np.dtype(header.dtype)
    arrays: dict[str, tuple[str, ...]] = {OUTPUTS: (SEQUENCE, TIMESTEP, OUTPUT)}
    arrays |= {f"{GATES}/{gate}": (SEQUENCE, TIMESTEP, UNIT) for gate in header.gates}
    for state in header.widths:
        dimension = header.state_dimension(state)
        arrays[state] = (SEQUENCE, TIMESTEP, dimension)
        arrays |= {f"{when}/{state}": (SEQUENCE, dimension) for when in (INITIAL, FINAL)}
    if header.outputs_are_m:
        _check_outputs_are_m(header)
        del arrays[OUTPUTS]
    made = {name: _create(group, name, dtype, axes, own) for name, axes in arrays.items()}
    if header.outputs_are_m:
        group[OUTPUTS] = group[STATE_M]  # a hard link: two names of one array
    return made


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


def _create(
    group: Any, name: str, dtype: Any, axes: tuple[str, ...], scales: Scales
) -> Destination:
    """An empty dataset whose every axis has its scale attached."""
    shape = tuple(int(scales[axis].shape[0]) for axis in axes)
    dataset = group.create_dataset(name, shape, dtype, dcpl=_creation())
    for dimension, axis in zip(dataset.dims, axes, strict=True):
        dimension.attach_scale(scales[axis])
    return Destination(dataset)


def _creation() -> Any:
    """Contiguous, its place in the file known at once, and nothing written there in advance.

    So writing moves no structure of the file, and is as fast as the disk takes it.
    """
    import h5py

    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return creation
