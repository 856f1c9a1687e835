"""SessionBundle exports: what TensorFlow Serving took before there was SavedModel.

A folder, named by a version number, with ``export.meta`` and the variables as a V1 checkpoint in
shards (``export-00000-of-00001``) or a V2 bundle (``export.index``).

References
----------
tensorflow/contrib/session_bundle/{constants,exporter}.py.
"""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.tf1.graph_model import Variables, read_again
from rnnscope.checkpoints.tf1.saver import read_meta
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.bundle import TensorBundle, is_bundle_index
from rnnscope.files.tensorflow.v1_table import V1Table

META, INDEX, SHARDS = "export.meta", "export.index", "export-?????-of-?????"


def read_bundle(path: Path) -> Checkpoint:
    """Read an export folder, or the newest version in a folder of exports.

    Raises
    ------
    CheckpointError
        If the variables are missing or damaged; it names the file.
    """
    folder, note = _find(path)
    stored = _open(folder)
    model, framework, _ = read_meta(folder / META, stored)
    return Checkpoint(
        path=folder,
        format=READER.name,
        framework=framework,
        files=(*stored.files, folder / META),
        network=model.network,
        left_out=model.left_out,
        notes=tuple(text for text in (note, *model.notes) if text),
        read_variable=stored.read,
        later_results=read_again(model, lambda: read_meta(folder / META, stored)[0]),
    )


def sniff(path: Path) -> bool:
    """Whether a folder holds an ``export.meta``, or versions that do; never raises."""
    try:
        return path.is_dir() and bool(_exports(path))
    except OSError:
        return False


def _exports(path: Path) -> list[Path]:
    """The folder itself, or its versions in the order of their numbers."""
    if (path / META).is_file():
        return [path]
    versions = [meta.parent for meta in path.glob(f"*/{META}") if meta.parent.name.isdecimal()]
    return sorted(versions, key=lambda folder: int(folder.name))


def _find(path: Path) -> tuple[Path, str]:
    exports = _exports(path)
    folder = exports[-1]
    if folder == path:
        return folder, ""
    return folder, f"Version {folder.name} was read, the newest of {len(exports)}."


def _open(folder: Path) -> Variables:
    if is_bundle_index(folder / INDEX):
        return TensorBundle.open(folder / "export")
    shards = sorted(folder.glob(SHARDS))
    wanted = int(shards[0].name.rpartition("-")[2]) if shards else 1
    if len(shards) != wanted:
        raise CheckpointError(
            "The variables of an export are missing.",
            where=folder,
            expected=f"{wanted} of {SHARDS}, or {INDEX}",
            found=", ".join(shard.name for shard in shards) or "none",
            hint="copy all files of the export into one folder",
        )
    return V1Table.open(shards)


READER = Reader(
    name="session-bundle",
    title="SessionBundle export (folder with export.meta)",
    reads="what tf1-saver reads; of several versions the newest",
    does_not_read="signatures",
    sniff=sniff,
    read=read_bundle,
)
