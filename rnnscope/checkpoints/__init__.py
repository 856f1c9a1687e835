"""READERS: every kind of file that holds recurrent layers. Adding one is one file and one line."""

from __future__ import annotations

from glob import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope.errors import CheckpointError, OptionError, spell
from rnnscope.files.limits import time_to_read
from rnnscope.files.regular import require_regular

if TYPE_CHECKING:
    from rnnscope.checkpoints.interface import Checkpoint, Reader

READER_MODULES = (
    # In the order in which they are asked. Each looks at content; none claims what it cannot read.
    "tf2.saved_model",
    "tf1.session_bundle",
    "tf2.object_checkpoint",  # before tf1.saver, whose files it shares
    "tf1.saver",
    "tf1.saver_v1",
    "tf1.frozen_graph",
    "keras.keras_file",
    "keras.h5_file",
    "keras.weights_only.file",
    "onnx.onnx_file",
    "safetensors",
    "torch.torch_file",
    "npz",
)
"""Modules of this package that hold a ``READER``; imported only when a file is opened."""


SIGNATURES = {
    b"\x89HDF\r\n\x1a\n": ("keras.h5_file", "keras.weights_only.file"),
    b"PK\x03\x04": ("keras.keras_file", "torch.torch_file", "npz"),
}
"""What a file begins with, and who is asked first about it, so that the others need not load."""


def readers() -> tuple[Reader, ...]:
    """READERS: every reader, in the order in which they are asked."""
    return tuple(import_module(f"{__name__}.{module}").READER for module in READER_MODULES)


def read_checkpoint(path: Path, *, layout: str | None = None) -> Checkpoint:
    """Read a saved model as data, whatever its format.

    Parameters
    ----------
    path : Path
        A file, a folder or a TensorFlow checkpoint prefix.
    layout : str, optional
        Whose names and gate order bare arrays have; only readers of such files take it.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        No reader takes the file, or the one that does finds it damaged.
    UnsupportedCellError
        It is read, but a cell in it cannot be computed.
    OptionError
        An option is given that means nothing to a file of this format.
    """
    given = {"layout": layout} if layout is not None else {}
    require_regular(path, CheckpointError)
    reader = find_reader(path)
    if reader is None:
        raise _no_reader(path)
    for option in given:
        if option not in reader.options:
            raise OptionError(
                f"{spell(option)} says nothing of this file, which tells it itself.",
                where=path,
                found=f"a file of the format {reader.name}: {reader.title}",
                hint=f"leave {spell(option)} out",
            )
    with time_to_read():
        return reader.read(path, **given)


def find_reader(path: Path) -> Reader | None:
    """The reader that takes a file, by its content; None if there is none.

    Parameters
    ----------
    path : Path
        A file, a folder or a TensorFlow checkpoint prefix.
    """
    likely = _likely(path)
    for module in (*likely, *(name for name in READER_MODULES if name not in likely)):
        reader: Reader = import_module(f"{__name__}.{module}").READER
        if reader.sniff(path):
            return reader
    return None


def is_checkpoint(path: Path) -> bool:
    """Whether a file is a saved model by its content; bare arrays of an ``.npz`` may be any."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        return False  # a pipe would be waited for
    reader = find_reader(path)
    return reader is not None and not reader.options


def _likely(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            head = file.read(max(map(len, SIGNATURES)))
    except OSError:
        return ()
    return next((names for start, names in SIGNATURES.items() if head.startswith(start)), ())


def _no_reader(path: Path) -> CheckpointError:
    tried = "; ".join(reader.title for reader in readers())
    if not path.exists():
        siblings = sorted(other.name for other in path.parent.glob(escape(path.name[:4]) + "*"))
        return CheckpointError(
            "The checkpoint does not exist.",
            where=path,
            expected="a file, a folder, or the prefix of a TensorFlow checkpoint",
            found=f"nearby: {', '.join(siblings[:5])}" if siblings else "nothing of that name",
        )
    if path.is_file() and path.stat().st_size == 0:
        return CheckpointError(
            "The checkpoint is an empty file.",
            where=path,
            expected="a saved model",
            found="0 bytes",
            hint="copy or download it again",
        )
    return CheckpointError(
        "No reader knows this file.",
        where=path,
        expected=tried,
        found="a folder without a checkpoint" if path.is_dir() else _first_bytes(path),
        hint="if it is one of these, it may be damaged; 'rnnscope inspect --help' lists formats",
    )


def _first_bytes(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        return f"a file that cannot be read: {error.strerror}"
    return f"a file that begins with {head!r}"
