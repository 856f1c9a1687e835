"""A trace that is in memory alone: an HDF5 file without a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.trace.partial import Commit
from rnnscope.trace.stores.hdf5_nodes import SINCE_HDF5_1_8, Hdf5Group

if TYPE_CHECKING:
    from rnnscope.trace.reader import Trace

GROW_BYTES = 16 * 2**20
"""HDF5 asks for so much memory at a time."""

IN_MEMORY = Path("trace in memory")
"""What messages call it."""


class MemoryFile:
    """What `rnnscope.trace.partial.PartialFile` is for a trace on disk.

    Attributes
    ----------
    path : Path
    file : h5py.File
        After `open`; it lives until `close`.
    commit : None
    """

    def __init__(self) -> None:
        self.path = IN_MEMORY
        self.file: Any = None
        self.fingerprint: str | None = None
        self.commit: Commit | None = None

    def open(self) -> bool:
        """Make the file; nothing was ever left by another run."""
        self.restart()
        return False

    def restart(self) -> None:
        """Begin with an empty file."""
        import uuid

        import h5py

        self.close()
        name = f"rnnscope-{uuid.uuid4().hex}"
        self.file = h5py.File(
            name,
            "w",
            libver=SINCE_HDF5_1_8,
            driver="core",
            backing_store=False,
            block_size=GROW_BYTES,
        )

    @property
    def root(self) -> Hdf5Group:
        """The root of the open file."""
        return Hdf5Group(self.file)

    @property
    def kept(self) -> None:
        """Nothing outlives the process."""

    def laid_out(self) -> None:
        """Nothing needs to be done: there is no file to be found later."""

    def write_commit(self, done: int, state: str) -> None:
        """Nothing outlives the process."""

    def finish(self) -> None:
        """Mark it complete and hand everything to the memory of the file."""
        self.file.attrs["complete"] = 1
        self.file.flush()

    def abandon(self, keep: bool) -> None:  # noqa: ARG002  # what is in memory is never kept
        """Give the memory back."""
        self.close()

    def trace(self) -> Trace:
        """The whole trace; closing it gives the memory back."""
        from rnnscope.trace.reader import Trace

        trace = Trace(self.path, self.root)
        trace.closing(self.close)
        return trace

    def close(self) -> None:
        """Give the memory back; more than once does no harm."""
        if self.file is not None:
            self.file.close()
            self.file = None
