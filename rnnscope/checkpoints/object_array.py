"""Arrays of objects in ``.npy``: a dict of arrays that ``numpy.save`` has pickled.

The pickle behind the header is interpreted as data, as those in files of PyTorch are.

References
----------
numpy/lib/_format_impl.py: ``write_array`` pickles an array of objects behind the header.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.torch.torch_file import read_pickled
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import InnerFile, map_file
from rnnscope.files.containers.npy import ODD_HEADERS

MAGIC = b"\x93NUMPY"


def _pickle_starts(path: Path) -> int | None:
    """Where the pickle behind the header of an array of objects begins; None of any other."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        file.seek(0)
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            return None
        first = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        _, _, dtype = read(file)
        return file.tell() if dtype.hasobject else None


def sniff(path: Path) -> bool:
    """Whether a file is an ``.npy`` of objects. Never raises."""
    try:
        return path.is_file() and _pickle_starts(path) is not None
    except (OSError, ValueError, EOFError, *ODD_HEADERS):
        return False


def read_object_array(path: Path, layout: str | None = None) -> Checkpoint:
    """Read the recurrent modules of a dict of arrays inside an array of objects.

    Raises
    ------
    CheckpointError
        The pickle is damaged, or names what no saved model needs.
    UnsupportedCellError
        It holds no recurrent module.
    """
    start = _pickle_starts(path)
    if start is None:
        raise CheckpointError("The .npy file holds no objects.", where=path)
    inner = InnerFile(path, "pickled objects", map_file(path)[start:])
    return read_pickled(path, inner, READER.name, layout)


READER = Reader(
    name="npy-objects",
    title="Dict of arrays in an .npy of objects (numpy.save)",
    reads="names of PyTorch and of the layouts of .npz, in the pickle that is interpreted, never "
    "executed",
    does_not_read="options and wiring, which are defaults and guesses",
    sniff=sniff,
    read=read_object_array,
    options=("layout",),
)
