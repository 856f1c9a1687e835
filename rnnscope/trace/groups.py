"""Groups and arrays of an opened trace: links to elsewhere and false sizes are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from rnnscope.errors import TraceError, spell
from rnnscope.files.hdf5.datasets import check_storage, damaged
from rnnscope.files.hdf5.safe_hdf5 import child, child_names
from rnnscope.model.cell import GATE_ORDER, Array
from rnnscope.trace.attributes import (
    FULL,
    FULL_TIMESTEPS,
    KIND,
    LAYER,
    RECURRENT,
    decode_layer,
)
from rnnscope.trace.schema import FINAL, GATES, INPUTS, OUTPUTS, STATE_M, LayerHeader
from rnnscope.trace.storage import make_readable


class PartValues(Protocol):
    """Where the values of virtual datasets are read from."""

    def read(self, dataset: Any, key: Any) -> Array:
        """Some of a dataset; `key` is a slice, or slices along the first axes."""


def layer_groups(group: Any) -> Iterator[Any]:
    """The groups of layers; links to elsewhere are refused. Layers are never nested.

    Each group is looked into once: hard links may form circles.
    """
    import h5py

    waiting, seen = [group], set()
    while waiting:
        parent = waiting.pop()
        for name in child_names(parent, TraceError):
            item = child(parent, name, TraceError)
            if not isinstance(item, h5py.Group):
                continue
            place = h5py.h5o.get_info(item.id).addr
            if place in seen:
                continue
            seen.add(place)
            if LAYER in item.attrs:
                yield item
            else:
                waiting.append(item)


def read_header(group: Any) -> LayerHeader:
    """A layer's header, from the attributes and arrays of its group."""
    attributes = dict(group.attrs)
    outputs: Any = child(group, OUTPUTS, TraceError)
    final: Any = child(group, FINAL, TraceError) if attributes[KIND] == RECURRENT else None
    gates: Any = child(group, GATES, TraceError)
    widths = {
        state: int(attributes.get(FULL + state, final[state].shape[1])) for state in final or ()
    }
    # A selection may have left the outputs out, but then the attributes tell of them.
    size = int(attributes[FULL + OUTPUTS] if outputs is None else outputs.shape[-1])
    steps = int(attributes[FULL_TIMESTEPS] if outputs is None else outputs.shape[1])
    sizes = (
        int(attributes.get(FULL + OUTPUTS, size)), int(attributes.get(FULL_TIMESTEPS, steps))
    )  # fmt: skip
    stored = tuple(sorted(gates or (), key=_gate_position))
    version = int(group.file.attrs["schema_version"])
    header = decode_layer(attributes, widths, sizes, stored, version)
    # Two names of one array: h5py compares objects by their place in the file.
    same = outputs is not None and child(group, STATE_M, TraceError) == outputs
    inputs: Any = child(group, INPUTS, TraceError)
    width = None if inputs is None else int(inputs.shape[-1])
    return replace(header, outputs_are_m=same, input_size=width)


def _gate_position(gate: str) -> tuple[int, str]:
    """Sorts into `GATE_ORDER`; gates that an LSTM has not come after, by name."""
    return (GATE_ORDER.index(gate) if gate in GATE_ORDER else len(GATE_ORDER), gate)


def stored_shape(group: Any, name: str) -> tuple[int, ...] | None:
    """The shape of an array by path in its group; None if it is not stored."""
    dataset = child(group, name, TraceError)
    return None if dataset is None else tuple(dataset.shape)


def read_array(
    group: Any, name: str, rows: slice | tuple[slice, ...], parts: PartValues | None = None
) -> Array:
    """Some rows of an array; with `parts`, of one whose values are in them.

    Raises
    ------
    TraceError
        It is not stored, damaged, or compressed by what is not installed.
    """
    dataset = child(group, name, TraceError)
    if dataset is None:
        raise TraceError(
            "The trace lacks an array.",
            where=f"{group.name}/{name}",
            hint=f"did the run select something else ({spell('select')})?",
        )
    if parts is not None and getattr(dataset, "is_virtual", False):
        return parts.read(dataset, rows)
    check_storage(dataset, TraceError)
    if not make_readable(dataset):
        raise TraceError(
            "The trace is compressed with zstd, which needs the package hdf5plugin.",
            where=f"{group.file.filename}::{dataset.name}",
            expected="hdf5plugin",
            found="it is not installed",
            hint="pip install hdf5plugin",
        )
    try:
        return np.asarray(dataset[rows])
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise damaged(f"{group.file.filename}::{dataset.name}", error, TraceError) from error


def read_all(
    group: Any,
    part: str,
    names: tuple[str, ...],
    rows: slice,
    parts: PartValues | None = None,
) -> dict[str, Array]:
    """The arrays of a subgroup by name; those that are not stored are left out."""
    found = child(group, part, TraceError)
    return (
        {}
        if found is None
        else {name: read_array(found, name, rows, parts) for name in names if name in found}
    )
