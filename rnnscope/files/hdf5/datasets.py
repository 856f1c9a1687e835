"""Datasets of HDF5 files, sliced in place.

A file can make HDF5 read other files (external and soft links, external storage, virtual datasets)
or declare sizes that it does not hold; all of these are refused.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import InputError, RnnscopeError
from rnnscope.files.arrays.stored_array import Key
from rnnscope.files.hdf5.safe_hdf5 import MAX_RATIO, child, open_h5
from rnnscope.model.cell import Array

ZSTD, ZSTD_RATIO = 32015, 2**15
"""The filter's number, and its best: 4 bytes stand for a block of 128 KiB (RFC 8878, 3.1.1.2)."""

MAX_CACHE_BYTES = 32 * 2**20
CACHE_SLOTS = 10007
"""A prime some way above the number of chunks that are kept (the HDF5 manual's advice)."""


class Hdf5File:
    """The numeric datasets of an HDF5 file, by path without the leading slash."""

    kind = "hdf5"

    def __init__(self, path: Path) -> None:
        import h5py

        self.path = path
        self._open = ExitStack()
        self._file: Any = self._open.enter_context(open_h5(path, error=InputError))
        names: list[str] = []

        def note(name: str, item: Any) -> None:
            if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
                return
            if item.shape is not None:  # one without a shape holds no values
                names.append(name)

        def note_link(name: str, link: Any) -> None:
            if not isinstance(link, h5py.HardLink):
                names.append(name)  # `array` refuses it, and says what it is

        try:
            self._file.visititems(note)  # each object once, over hard links only
            self._file.visititems_links(note_link)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            self.close()
            raise damaged(path, error, InputError) from error
        self.names: tuple[str, ...] = tuple(names)

    def array(self, name: str) -> SlicedDataset:
        """The dataset `name`; slicing it reads that slice.

        Raises
        ------
        InputError
            It is reached over a link, stored outside the file, or not stored at all.
        """
        dataset = child(self._file, name, InputError)
        check_storage(dataset, InputError)
        try:
            dataset = _with_cache(dataset)
        except (OSError, RuntimeError) as error:
            raise damaged(self.path, error, InputError) from error
        return SlicedDataset(dataset, f"{self.path}::/{name}")

    def close(self) -> None:
        self._open.close()


class SlicedDataset:
    """A dataset whose slices are read when asked for; damage found then is an `InputError`."""

    def __init__(self, dataset: Any, where: str) -> None:
        self._dataset = dataset
        self._where = where
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        """Read a part of the dataset.

        Raises
        ------
        InputError
            The file turns out damaged.
        """
        try:
            if out is None:
                part = np.asarray(self._dataset[key])
                return part.astype(self.dtype, copy=False)
            if out.size:
                self._dataset.read_direct(out, key or None)
        except (OSError, RuntimeError) as error:
            raise damaged(self._where, error, InputError) from error
        return out


def _with_cache(dataset: Any) -> Any:
    """The dataset, compressed chunks kept until all that a slice of sequences needs are read.

    HDF5 keeps 1 MiB unless it is told otherwise, and would unpack a larger chunk for each slice
    that touches it. Chunks without filters are read in part, and need no cache.
    """
    import h5py

    if not dataset.chunks or not dataset.id.get_create_plist().get_nfilters():
        return dataset
    size = dataset.dtype.itemsize
    for axis, (chunk, whole) in enumerate(zip(dataset.chunks, dataset.shape, strict=True)):
        size *= chunk if axis == 0 else chunk * -(-whole // chunk)
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(CACHE_SLOTS, min(max(size, 2**20), MAX_CACHE_BYTES), 1.0)
    return h5py.Dataset(h5py.h5d.open(dataset.file.id, dataset.name.encode(), access))


def check_storage(dataset: Any, error: type[RnnscopeError]) -> None:
    """Refuse a dataset that lies elsewhere or is larger than its stored bytes can be.

    Unlike `rnnscope.files.hdf5.safe_hdf5.check_size` this sets no limit to a whole dataset, which
    is read in slices.
    """
    outside = dataset.is_virtual or dataset.external
    declared = math.prod(dataset.shape or ()) * dataset.dtype.itemsize
    stored = int(dataset.id.get_storage_size())
    within = min(stored, int(dataset.file.id.get_filesize())) * _most_per_byte(dataset)
    if outside or dataset.shape is None or declared > within:
        raise error(
            "The values of an HDF5 dataset are not all in its file.",
            where=f"{dataset.file.filename}::{dataset.name}",
            expected="values stored in the file itself",
            found="a virtual dataset or external storage"
            if outside
            else f"{declared} bytes declared, {stored} stored",
            hint="write the file again with the data inside it",
        )


def _most_per_byte(dataset: Any) -> int:
    """How many bytes one stored byte can stand for."""
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if ZSTD in filters:
        return ZSTD_RATIO
    return MAX_RATIO if filters else 1


def damaged(where: object, fault: Exception, error: type[RnnscopeError]) -> RnnscopeError:
    """The error for what h5py raises when a file turns out damaged."""
    return error(
        "The HDF5 file is damaged.",
        where=where,
        expected="a whole HDF5 file",
        found=str(fault) or type(fault).__name__,
        hint="copy or write the file again",
    )
