"""Closing an HDF5 file that could not be written, and whose content no longer matters.

HDF5 keeps what it has not written yet, and tries again whenever the file or a dataset is closed.
Where the disk is full that fails each time: the file stays open, h5py remarks on each object that
is collected, and some later use of the library crashes the process. So what is left goes where
there is room, and then nowhere.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any


def discard(file: Any) -> None:
    """Close a file that is to be removed; never raises.

    Parameters
    ----------
    file : h5py.File
        Opened for writing, by descriptor as HDF5 does by default.
    """
    with suppress(Exception):  # closed already, or of a driver without a descriptor
        descriptor = file.id.get_vfd_handle()
        if os.name == "posix" and isinstance(descriptor, int):
            _lead_elsewhere(descriptor)
    # The cache remembers that it failed, and fails once more: better now than when it is destroyed.
    with suppress(Exception):
        file.flush()
    with suppress(Exception):
        file.close()


def _lead_elsewhere(descriptor: int) -> None:
    """Let a descriptor be that of a file without a name, in memory where the system has such.

    Where files may not grow beyond a limit, one in memory may not either; what takes everything
    and keeps nothing has no size.
    """
    import resource

    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        room = os.open(os.devnull, os.O_RDWR)
    elif hasattr(os, "memfd_create"):
        room = os.memfd_create("rnnscope")
    else:
        import tempfile

        room, name = tempfile.mkstemp()
        os.unlink(name)  # noqa: PTH108
    try:
        os.dup2(room, descriptor, inheritable=False)
    finally:
        os.close(room)
