"""How an array lies in the file: contiguous, or in compressed chunks."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any, Literal, get_args

from rnnscope.errors import OptionError, spell

Compression = Literal["gzip", "lzf", "zstd"]

CHUNK_BYTES = 2**20
"""What a compressed chunk holds at most: HDF5 keeps one of that size unless a program says
otherwise, and unpacks larger ones again for each read."""

SMALL_CHUNK_BYTES = 2**18
"""Sequences are put together in one chunk up to this size."""

CACHE_BYTES = 16 * 2**20
"""For chunks that a slice fills in part, each dataset: they are packed when they are whole."""

ZSTD = 32015
"""The number of the filter, registered with The HDF Group."""


def creation() -> Any:
    """Contiguous, its place in the file known at once, and nothing written there in advance.

    So writing moves no structure of the file, and is as fast as the disk takes it.
    """
    import h5py

    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return properties


def filters(compress: Compression) -> dict[str, Any]:
    """What h5py's ``create_dataset`` is told to compress floats.

    Raises
    ------
    OptionError
        No such compression, or what it needs is not installed.
    """
    if compress not in get_args(Compression):
        raise OptionError(
            "There is no such compression.",
            where=spell("compress"),
            expected=", ".join(get_args(Compression)),
            found=compress,
        )
    # Shuffle puts the exponents of neighbours together, which alone makes floats compressible.
    if compress != "zstd":
        return {"compression": compress, "shuffle": True}
    try:
        hdf5plugin = import_module("hdf5plugin")
    except ImportError as error:
        raise OptionError(
            "Compression with zstd needs the package hdf5plugin.",
            where=spell("compress", "zstd"),
            expected="hdf5plugin, which readers of the trace need as well",
            found="it is not installed",
            hint="pip install hdf5plugin, or choose gzip",
        ) from error
    return {**hdf5plugin.Zstd(), "shuffle": True}


def make_readable(dataset: Any) -> bool:
    """Load what unpacks a dataset, if that is not part of HDF5; False if it is not installed."""
    import h5py

    if h5py.h5z.filter_avail(ZSTD) or str(ZSTD) not in dataset._filters:  # noqa: SLF001
        return True
    with suppress(ImportError):
        import_module("hdf5plugin")
    return bool(h5py.h5z.filter_avail(ZSTD))


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The chunks of a compressed array (sequence, timestep, width) or (step, width).

    A chunk holds the whole width and one sequence, cut along time where it is long; short
    sequences are put together. So batches of sequences fill whole chunks or nearly so, and one
    sequence is read without unpacking others.
    """
    *outer, steps, width = shape
    rows = max(1, min(steps, CHUNK_BYTES // (width * itemsize)))
    together = max(1, SMALL_CHUNK_BYTES // (rows * width * itemsize))
    return (*(min(size, 1 << (together.bit_length() - 1)) for size in outer), rows, width)
