"""From a path or a URL to the store of a trace that is there, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnscope.errors import TraceError
from rnnscope.files.remote.addresses import url_of
from rnnscope.files.safe_hdf5 import has_signature, open_h5
from rnnscope.trace.recognise import no_trace
from rnnscope.trace.stores.hdf5_nodes import Hdf5Group
from rnnscope.trace.stores.interface import GroupNode

ZARR_SUFFIX = ".zarr"
ZARR_MARK = "zarr.json"
"""The file that makes a folder a group or an array of zarr v3."""


def is_zarr(path: Path) -> bool:
    """Whether a path is, or would be, a zarr store: by its mark, or by its name."""
    if (path / ZARR_MARK).is_file():
        return True
    return path.suffix.lower() == ZARR_SUFFIX and not path.is_file()


@contextmanager
def open_store(path: Path) -> Iterator[GroupNode]:
    """Open a store for reading.

    Yields
    ------
    GroupNode
        Its root.

    Raises
    ------
    TraceError
        Nothing is there, or nothing that is a trace.
    """
    if is_zarr(path):
        from rnnscope.trace.stores.zarr_reading import open_zarr

        with open_zarr(path) as root:
            yield root
        return
    if url_of(path) is not None:
        from rnnscope.files.remote.fetching import fetched

        with fetched(path, TraceError, "trace") as local, open_store(local) as root:
            yield root
        return
    if path.is_file() and path.stat().st_size and not has_signature(path):
        raise no_trace(path, "no HDF5 file")
    with open_h5(path, error=TraceError) as file:
        yield Hdf5Group(file)
