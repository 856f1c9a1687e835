"""From a path or a URL to the store of a trace that is there, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnscope.errors import TraceError
from rnnscope.files.hdf5.safe_hdf5 import has_signature, open_h5
from rnnscope.files.remote.addresses import url_of
from rnnscope.trace.recognise import no_trace
from rnnscope.trace.stores.hdf5_nodes import Hdf5Group
from rnnscope.trace.stores.interface import GroupNode
from rnnscope.trace.stores.naming import is_zarr


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
