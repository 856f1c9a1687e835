"""``.msgpack`` files of Flax: trees of parameters, alone or inside a train state."""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.array_trees import read_tree
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.module_layouts import layouts_of
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import AnyFile
from rnnscope.files.arrays.loadable_arrays import reading_by_name
from rnnscope.files.containers.msgpack_arrays import looks_like_msgpack, read_msgpack_arrays


def read_msgpack(path: AnyFile, layout: str | None = None) -> Checkpoint:
    """Read the recurrent modules of a tree in msgpack.

    Raises
    ------
    CheckpointError
        The file is damaged, or holds no arrays.
    UnsupportedCellError
        It holds no recurrent module.
    """
    arrays = read_msgpack_arrays(path)
    if not arrays:
        raise CheckpointError(
            "The msgpack file holds no arrays.",
            where=path,
            expected="a tree of arrays as flax.serialization writes it",
            found="maps without arrays",
        )
    found, named = read_tree(arrays, path, layouts_of(layout))
    return Checkpoint(
        path=path if isinstance(path, Path) else path.outer,
        format=READER.name,
        framework="Flax (msgpack)",
        files=(path,) if isinstance(path, Path) else (),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=tuple(found.notes),
        read_left_out=reading_by_name(named),
    )


READER = Reader(
    name="flax-msgpack",
    title="Tree of arrays in .msgpack (flax.serialization)",
    reads="LSTMCell, OptimizedLSTMCell, GRUCell and SimpleCell of Flax (linen and nnx), cells of "
    "Haiku and Equinox, alone or in a train state; bfloat16, arrays in chunks",
    does_not_read="MGUCell, ConvLSTMCell; activations given in code; what feeds what (guessed from "
    "widths)",
    sniff=looks_like_msgpack,
    read=read_msgpack,
    options=("layout",),
)
