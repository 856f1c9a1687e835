"""READERS: every kind of file that holds recurrent layers. Adding one is one file and one line."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope.errors import CheckpointError, OptionError, spell, spelled
from rnnscope.files.archives.first_bytes import HDF5, ZIP
from rnnscope.files.guarding.limits import time_to_read
from rnnscope.files.guarding.regular import require_regular
from rnnscope.files.remote.local_copies import here

if TYPE_CHECKING:
    from rnnscope.checkpoints.interface import Checkpoint, Reader

READER_MODULES = (
    # In the order in which they are asked. Each looks at content; none claims what it cannot read.
    "coreml.model_file",  # before tf2.saved_model, whose message its own looks like
    "tf2.saved_model",
    "tf1.session_bundle",
    "tf2.object_checkpoint",  # before tf1.saver, whose files it shares
    "tf1.saver",
    "tf1.saver_v1",
    "tf1.frozen_graph",
    "keras.keras_file",
    "keras.h5_file",
    "keras.weights_only.file",
    "elmo",
    "tflite.tflite_file",
    "tfjs.tfjs_file",
    "onnx.onnx_file",
    "openvino.ir_file",
    "paddle.program_file",
    "xlstm.state_dict_file",  # before safetensors and torch.torch_file, whose files it is in
    "safetensors",
    "torch.distributed_folder",
    "torch.exported_program",
    "paddle.params_file",  # before torch.torch_file, which takes pickles of all kinds
    "torch.torch_file",
    "flax_msgpack",
    "gguf_file",
    "audio_json",
    "object_array",
    "case.case_file",  # before npz, of which it is one
    "npz",
    "archive",  # zips that are none of the formats above, and tars
    "orbax_folder",
    "model_folder",
)
"""Modules of this package that hold a ``READER``; imported only when a file is opened."""


SIGNATURES = {
    HDF5: ("keras.h5_file", "keras.weights_only.file", "elmo"),
    ZIP: (
        "keras.keras_file",
        "xlstm.state_dict_file",
        "torch.torch_file",
        "case.case_file",
        "npz",
    ),
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
    path = here(path, CheckpointError, "checkpoint")
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
    return reader is not None and not reader.takes_any_arrays


def _likely(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            head = file.read(max(map(len, SIGNATURES)))
    except OSError:
        return ()
    if head.startswith(HDF5):
        from rnnscope.files.hdf5.probe import begin

        begin(path)  # while readers are imported
    return next((names for start, names in SIGNATURES.items() if head.startswith(start)), ())


def _no_reader(path: Path) -> CheckpointError:
    from rnnscope.files.archives.naming import name_file, name_folder

    if not path.exists():
        from glob import escape

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
    named = name_folder(path) if path.is_dir() else name_file(path)
    if named is None:
        return CheckpointError(
            "No reader knows this file.",
            where=path,
            found=_first_bytes(path),
            hint="is it damaged, or encrypted? 'rnnscope help checkpoints' lists what is read",
        )
    return CheckpointError(
        f"No reader takes this {'folder' if path.is_dir() else 'file'}: it is {named.title}.",
        where=path,
        found=named.detail or None,
        hint=spelled(named.advice),
    )


def swapped_with(checkpoint: Path, other: Path) -> bool:
    """Whether a checkpoint is an array, and the input beside it a saved model. Never raises."""
    from rnnscope.files.archives.naming import name_file

    try:
        named = name_file(checkpoint) if checkpoint.is_file() else None
        if named is None or not named.is_input:
            return False
        array = name_file(other) if other.is_file() else None
        return not (array and array.is_input) and any(one.sniff(other) for one in readers())
    except (OSError, ValueError):
        return False


def _first_bytes(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        return f"a file that cannot be read: {error.strerror}"
    return f"a file that begins with {head!r}"
