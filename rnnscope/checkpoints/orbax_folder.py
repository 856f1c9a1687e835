"""Folders of Orbax: trees of parameters of Flax and other libraries on JAX."""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.array_trees import read_tree
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.module_layouts import layouts_of
from rnnscope.errors import CheckpointError
from rnnscope.files.arrays.loadable_arrays import reading_by_name
from rnnscope.files.containers.orbax import MAX_FILES, find_item, read_orbax


def sniff(path: Path) -> bool:
    """Whether a folder, or the newest step in it, holds arrays of Orbax. Never raises."""
    try:
        return path.is_dir() and find_item(path) is not None
    except (OSError, ValueError):
        return False


def read_folder(path: Path, layout: str | None = None) -> Checkpoint:
    """Read the recurrent modules of a folder of Orbax.

    Raises
    ------
    CheckpointError
        TensorStore is not installed, or the folder is damaged.
    UnsupportedCellError
        It holds no recurrent module.
    """
    item = find_item(path)
    if item is None:
        raise CheckpointError("The folder holds no item of Orbax.", where=path)
    arrays = read_orbax(item)
    found, named = read_tree(arrays, item, layouts_of(layout))
    notes = [*found.notes]
    if item != path:
        notes.insert(0, f"The arrays were found in '{item.relative_to(path)}'.")
    files = sorted(file for file in item.rglob("*") if file.is_file())
    if len(files) > MAX_FILES:
        raise CheckpointError(
            "The folder holds too many files.", where=item, expected=f"at most {MAX_FILES}"
        )
    return Checkpoint(
        path=path,
        format=READER.name,
        framework="Orbax",
        files=tuple(files),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=tuple(notes),
        read_left_out=reading_by_name(named),
    )


READER = Reader(
    name="orbax",
    title="Folder of Orbax (OCDBT or Zarr)",
    reads="what flax-msgpack reads, of a folder, its newest step or its one item; needs the extra "
    "rnnscope[orbax]",
    does_not_read="without the extra it is named; several items in one folder",
    sniff=sniff,
    read=read_folder,
    options=("layout",),
)
