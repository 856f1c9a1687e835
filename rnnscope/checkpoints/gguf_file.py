"""GGUF files whose tensors have the names of a state dict."""

from __future__ import annotations

from pathlib import Path

from rnnscope.checkpoints.array_trees import read_tree
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.module_layouts import layouts_of
from rnnscope.files.arrays.loadable_arrays import reading_by_name
from rnnscope.files.containers.gguf import looks_like_gguf, read_gguf


def read(path: Path, layout: str | None = None) -> Checkpoint:
    """Read the recurrent modules of a GGUF file.

    Raises
    ------
    CheckpointError
        The file is damaged, or a weight is quantised.
    UnsupportedCellError
        It holds no recurrent module.
    """
    held = read_gguf(path)
    found, named = read_tree(held.arrays, path, layouts_of(layout))
    return Checkpoint(
        path=path,
        format=READER.name,
        framework=f"GGUF ({held.architecture})" if held.architecture else "GGUF",
        files=(path,),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=tuple(found.notes),
        read_left_out=reading_by_name(named),
    )


READER = Reader(
    name="gguf",
    title="GGUF (ggml), with the names of a state dict",
    reads="F32, F16, BF16 and F64 tensors named as in PyTorch, MLX or Flax",
    does_not_read="quantised tensors, which are named; names of a converter's own",
    sniff=looks_like_gguf,
    read=read,
    options=("layout",),
)
