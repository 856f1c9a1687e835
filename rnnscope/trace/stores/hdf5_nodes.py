"""Groups and arrays of an HDF5 file; links to elsewhere and false sizes are refused."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Protocol

import numpy as np

from rnnscope.errors import TraceError
from rnnscope.files.arrays.stored_array import Key, StoredArray
from rnnscope.files.hdf5.datasets import SlicedDataset, check_storage, damaged
from rnnscope.files.hdf5.safe_hdf5 import child, child_names, damage_as
from rnnscope.model.cell import Array
from rnnscope.trace.storage import Compression, chunk_shape, creation, filters, make_readable
from rnnscope.trace.stores.interface import (
    ALL,
    ArrayNode,
    Corner,
    GroupNode,
    NewArray,
    WritableArray,
    WritableGroup,
)

SINCE_HDF5_1_8 = ("v108", "v108")
"""The format of 2008, for which h5py and xarray need nothing else; it has room for any number of
references."""

OF_SCALES = frozenset({"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"})
"""Attributes in which HDF5 keeps dimensions."""

MAX_REFERENCES = 2000
"""An axis' scale lists the arrays that have it, in 16 bytes each; HDF5's oldest format has room for
4,000, and pooling adds some."""


def libver_of(array_count: int) -> tuple[str, str] | None:
    """Which format of HDF5 a new file needs; None: the oldest does, as h5py writes it."""
    return SINCE_HDF5_1_8 if array_count > MAX_REFERENCES else None


class VirtualValues(Protocol):
    """Where the values of virtual datasets are read from; HDF5 itself never follows them."""

    def read(self, dataset: Any, key: Any) -> Array:
        """Some of a dataset; `key` is a slice, or slices along the first axes."""


class ValuesElsewhere:
    """A virtual dataset, whose slices are read when asked for."""

    def __init__(self, values: VirtualValues, dataset: Any) -> None:
        self._values, self._dataset = values, dataset
        self.shape: tuple[int, ...] = tuple(dataset.shape)
        self.dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        """A part of the array; `out`, of its shape and dtype, is filled."""
        found = self._values.read(self._dataset, key)
        if out is None:
            return np.ascontiguousarray(found.astype(self.dtype, copy=False))
        out[...] = found
        return out


class Hdf5Array(ArrayNode, WritableArray):
    """A dataset.

    Parameters
    ----------
    dataset : h5py.Dataset
    values : VirtualValues, optional
        Where its values are, should it be a virtual dataset; without, such a one is refused.
    """

    def __init__(self, dataset: Any, values: VirtualValues | None = None) -> None:
        self.dataset = dataset
        self.path = str(dataset.name)
        self._given = values
        self._values = values if values is not None and dataset.is_virtual else None

    @property
    def is_elsewhere(self) -> bool:
        """Whether its values are in other files, which `VirtualValues` reads."""
        return self._values is not None

    @property
    def where(self) -> str:
        return f"{self.dataset.file.filename}::{self.path}"

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.dataset.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        found: np.dtype[Any] = self.dataset.dtype
        return found

    @property
    def attributes(self) -> Mapping[str, Any]:
        return {name: value for name, value in self.dataset.attrs.items() if name not in OF_SCALES}

    @property
    def dimensions(self) -> tuple[str, ...]:
        if self.is_coordinate:
            return (self.path.rpartition("/")[2],)
        scales = (axis[0].name if len(axis) else "" for axis in self.dataset.dims)
        return tuple(str(name).rpartition("/")[2] for name in scales)

    @property
    def is_coordinate(self) -> bool:
        with damage_as(TraceError, self.where):
            return bool(self.dataset.is_scale)

    def read(self, rows: slice = ALL) -> Array:
        if self._values is not None:
            return self._values.read(self.dataset, rows)
        self._require_readable()
        try:
            return np.asarray(self.dataset[rows])
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise damaged(self.where, error, TraceError) from error

    def lazily(self) -> StoredArray:
        if self._values is not None:
            return ValuesElsewhere(self._values, self.dataset)
        check_storage(self.dataset, TraceError)
        make_readable(self.dataset)
        return SlicedDataset(self.dataset, self.where)

    def coordinates(self, axis: int) -> ArrayNode | None:
        scales = self.dataset.dims[axis]
        return Hdf5Array(scales[0], self._given) if len(scales) else None

    def same_as(self, other: object) -> bool:
        # h5py compares objects by their place in the file.
        return isinstance(other, Hdf5Array) and bool(other.dataset == self.dataset)

    def set_attribute(self, name: str, value: Any) -> None:
        self.dataset.attrs[name] = value

    def flush(self) -> None:
        self.dataset.flush()  # what fails when the object is collected, h5py only remarks upon

    def write_block(self, array: Array, corner: Corner) -> None:
        # The low-level call takes the buffer as it is, without h5py's own look at it.
        self.dataset.id.write(*self._spaces(corner, array.shape), array)

    def read_block(self, out: Array, corner: Corner) -> None:
        self.dataset.id.read(*self._spaces(corner, out.shape), out)

    def _spaces(self, corner: Corner, place: Corner) -> tuple[Any, Any]:
        """The place in memory, and that in the file."""
        import h5py

        space = self.dataset.id.get_space()
        space.select_hyperslab(corner, place)
        return h5py.h5s.create_simple(place), space

    def _require_readable(self) -> None:
        check_storage(self.dataset, TraceError)
        if make_readable(self.dataset):
            return
        raise TraceError(
            "The trace is compressed with zstd, which needs the package hdf5plugin.",
            where=self.where,
            expected="hdf5plugin",
            found="it is not installed",
            hint="pip install hdf5plugin",
        )


class Hdf5Group(GroupNode, WritableGroup):
    """A group.

    Parameters
    ----------
    group : h5py.Group
    compress : Compression or None
        Of arrays over time that are made in it.
    values : VirtualValues, optional
        Where the values of virtual datasets in it are; without, these are refused.
    """

    kind = "hdf5"

    def __init__(
        self,
        group: Any,
        compress: Compression | None = None,
        values: VirtualValues | None = None,
    ) -> None:
        self.group_ = group
        self._compress, self._values = compress, values
        self.path = str(group.name)
        self.store_name = str(group.file.filename)

    def with_values(self, values: VirtualValues) -> Hdf5Group:
        """The same group, values of virtual datasets in it read from there."""
        return Hdf5Group(self.group_, self._compress, values)

    @property
    def is_open(self) -> bool:
        return bool(self.group_)

    @property
    def attributes(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.group_.attrs
        return found

    @property
    def identity(self) -> Hashable:
        import h5py

        return int(h5py.h5o.get_info(self.group_.id).addr)

    def __contains__(self, name: str) -> bool:
        return name in self.group_  # a link or what has no values, too: then it is refused

    def names(self) -> list[str]:
        return child_names(self.group_, TraceError)

    def child(self, path: str) -> GroupNode | ArrayNode | None:
        import h5py

        found = child(self.group_, path, TraceError)
        if isinstance(found, h5py.Group):
            return Hdf5Group(found, self._compress, self._values)
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            return None
        return Hdf5Array(found, self._values)

    def arrays(self) -> dict[str, ArrayNode]:
        import h5py

        found: dict[str, ArrayNode] = {}

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub":
                found[name] = Hdf5Array(item, self._values)

        with damage_as(TraceError, self.store_name):
            self.group_.visititems(note)
        return found

    def set_attribute(self, name: str, value: Any) -> None:
        self.group_.attrs[name] = value

    def create_group(self, path: str) -> WritableGroup:
        return Hdf5Group(self.group_.create_group(path), self._compress)

    def create_coordinates(self, name: str, places: Array) -> WritableArray:
        dataset = self.group_.create_dataset(name, data=places.astype(np.int64))
        dataset.make_scale(name)
        return Hdf5Array(dataset)

    def create_array(
        self, path: str, new: NewArray, coordinates: Mapping[str, WritableArray]
    ) -> WritableArray:
        how: dict[str, Any] = {"dcpl": creation()}
        if self._compress is not None and new.over_time and new.dtype.kind == "f":
            chunks = chunk_shape(new.shape, new.dtype.itemsize)
            how = {"chunks": chunks, **filters(self._compress)}
        dataset = self.group_.create_dataset(path, new.shape, new.dtype, **how)
        for dimension, axis in zip(dataset.dims, new.dimensions, strict=True):
            scale = coordinates.get(axis)  # none where a stranger's store named none
            if isinstance(scale, Hdf5Array):
                dimension.attach_scale(scale.dataset)
        return Hdf5Array(dataset)

    def create_name(self, name: str, of: str) -> None:
        self.group_[name] = self.group_[of]  # a hard link

    def writable(self, path: str) -> WritableArray | None:
        found = self.child(path)
        return found if isinstance(found, Hdf5Array) else None
