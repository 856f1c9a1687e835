"""A digest of a trace's numbers: the same run has the same, whenever and wherever it was made."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from rnnscope.errors import TraceError
from rnnscope.files.hdf5.datasets import check_storage, damaged
from rnnscope.files.hdf5.safe_hdf5 import walk_datasets
from rnnscope.trace.schema import POOLED
from rnnscope.trace.storage import make_readable

BLOCK_BYTES = 16 * 2**20

HEAD_BYTES = 64 * 2**10
"""Of a file's beginning and of its end: attributes with time, host and digest are in the first."""


def numbers_sha256(file: Any, where: object) -> str:
    """SHA-256 over name, type, shape and values of every dataset of an open trace.

    Pooled arrays, which may be added later, are left out; an array of two names counts once.

    Raises
    ------
    TraceError
        The file is damaged.
    """
    import h5py

    found: dict[str, Any] = {}
    places: set[int] = set()
    by_name = sorted(walk_datasets(file, TraceError), key=lambda dataset: str(dataset.name))
    for dataset in by_name:
        place = h5py.h5o.get_info(dataset.id).addr
        if place not in places and not str(dataset.name).startswith(f"/{POOLED}/"):
            places.add(place)
            found[str(dataset.name)] = dataset
    digest = hashlib.sha256()
    for name, dataset in found.items():
        check_storage(dataset, TraceError)
        make_readable(dataset)
        digest.update(repr((name, dataset.dtype.str, tuple(dataset.shape))).encode())
        row = max(1, dataset.dtype.itemsize * int(dataset.size or 0) // max(1, len(dataset)))
        each = max(1, BLOCK_BYTES // row)
        try:
            for start in range(0, len(dataset), each):
                digest.update(dataset[start : start + each].data)
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise damaged(f"{where}::{name}", error, TraceError) from error
    return digest.hexdigest()


def ends_sha256(path: Path) -> bytes:
    """SHA-256 (32 bytes) over a file's first and last 64 KiB: quick, and another file has another.

    Raises
    ------
    OSError
    """
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(HEAD_BYTES))
        size = file.seek(0, 2)
        file.seek(max(HEAD_BYTES, size - HEAD_BYTES))
        digest.update(file.read(HEAD_BYTES))
    return digest.digest()
