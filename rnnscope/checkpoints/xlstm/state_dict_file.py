"""State dicts of xLSTM in ``.safetensors`` and PyTorch files: their sLSTM layers."""

from __future__ import annotations

import zipfile
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.xlstm.slstm import KERNEL
from rnnscope.files.containers.safetensors import looks_like_safetensors

MAX_LOOKED_AT = 1 << 26


def sniff(path: Path) -> bool:
    """Whether a file names the recurrent kernel of an sLSTM cell. Never raises."""
    try:
        return path.is_file() and KERNEL.encode() in _names(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, KeyError):
        return False


def _names(path: Path) -> bytes:
    """The part of a file that names its arrays."""
    if looks_like_safetensors(path):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            return file.read(min(size, MAX_LOOKED_AT))
    with path.open("rb") as file:
        if not file.read(4).startswith(b"PK"):
            return b""
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if not members:
            return b""
        with archive.open(members[0]) as pickled:
            return pickled.read(MAX_LOOKED_AT)


def read_xlstm(path: Path) -> Checkpoint:
    """Read the sLSTM layers of a state dict.

    Raises
    ------
    CheckpointError
        The file is damaged.
    UnsupportedCellError
        A layer has arrays that are not known, or lacks some.
    """
    from rnnscope.checkpoints.translated.reading import read_translation
    from rnnscope.checkpoints.xlstm.translate import translate

    return read_translation(path, READER.name, translate)


READER = Reader(
    name="xlstm",
    title="State dict of xLSTM (.safetensors, .pt)",
    reads="sLSTM layers, with their convolution, as saved with the CUDA kernels or without; the "
    "states c, n, m and stabilizer (xLSTM's m)",
    does_not_read="mLSTM layers and all that stands between layers: each reads what it is given",
    sniff=sniff,
    read=read_xlstm,
)
