"""Named tensors in ``.safetensors`` files: state dicts of PyTorch, trees of other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.module_layouts import layouts_of
from rnnscope.checkpoints.torch.building import StateDict
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.checkpoints.torch.shards import (
    INDEX_END,
    is_index,
    require_tensors,
    sharded_words,
    shards_of,
)
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import AnyFile
from rnnscope.files.arrays.loadable_arrays import LoadableArray, reading_by_name
from rnnscope.files.containers.safetensors import (
    TensorEntry,
    looks_like_safetensors,
    open_tensor,
    read_header,
)
from rnnscope.model.cell import Array


def read_arrays(path: AnyFile) -> tuple[list[LoadableArray], Mapping[str, Any]]:
    """The arrays of a file, and its metadata.

    Raises
    ------
    CheckpointError
        The header does not parse, or tells of bytes that are not there.
    """
    header = read_header(path, CheckpointError)
    arrays = [
        LoadableArray(entry.name, entry.shape, partial(_load, path, entry))
        for entry in header.tensors
    ]
    return arrays, header.metadata


def _load(path: AnyFile, entry: TensorEntry) -> Array:
    array = open_tensor(path, entry, CheckpointError).read()
    return array.astype(np.float32) if array.dtype == np.float16 else array


def read_safetensors(path: AnyFile, layout: str | None = None) -> Checkpoint:
    """Read the recurrent modules among the arrays of a ``.safetensors`` file.

    Parameters
    ----------
    path : Path or InnerFile
    layout : str, optional
        Whose names the arrays have; those of all libraries are known without it.

    Raises
    ------
    CheckpointError
        The file is damaged.
    UnsupportedCellError
        It holds no recurrent module.
    """
    files = shards_of(path)
    arrays: list[LoadableArray] = []
    written = ""
    for file in files:
        if file.name.endswith(INDEX_END):
            continue
        more, metadata = read_arrays(file)
        arrays.extend(more)
        written = written or str(metadata.get("format", ""))[:20]
    require_tensors(files, [array.name for array in arrays])
    found = read_state_dict(arrays, path, layouts=layouts_of(layout))
    return Checkpoint(
        path=path if isinstance(path, Path) else path.outer,
        format=READER.name,
        framework=_framework(found, written),
        files=tuple(file for file in files if isinstance(file, Path)),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=(*sharded_words(files), *found.notes),
        read_left_out=reading_by_name(arrays),
    )


def _framework(found: StateDict, written: str) -> str:
    """Who wrote it: libraries that are told by their names, else what the file says."""
    classes = {node.recurrent.cell.source_class for node in found.network.recurrent
               if node.recurrent}  # fmt: skip
    libraries = {name.split()[0] for name in classes} - {"torch"}
    told = ", ".join(sorted(libraries & {"flax", "haiku", "equinox", "mlx"}))
    if told:
        return f"safetensors ({told})"
    return "PyTorch" if written in ("", "pt") else f"safetensors ({written})"


def sniff(path: AnyFile) -> bool:
    """Whether a file is one of safetensors, or the index of several. Never raises."""
    return looks_like_safetensors(path) or is_index(path, (".safetensors",))


READER = Reader(
    name="safetensors",
    title="Named tensors in .safetensors (PyTorch, Flax, Haiku, Equinox, MLX)",
    reads="nn.LSTM, nn.GRU, nn.RNN and their cells by name and shape; stacks, both directions, "
    "proj_size; weight norm, spectral norm, pruning, weight dropout; learned initial states; sets "
    "of shards; 16-bit floats; cells of Flax, Haiku, Equinox and MLX by name, people's own as "
    "guesses",
    does_not_read="what feeds what between modules (guessed from widths), nn.RNN's nonlinearity; "
    "modules with tensors that such a cell lacks",
    sniff=sniff,
    read=read_safetensors,
    options=("layout",),
)
