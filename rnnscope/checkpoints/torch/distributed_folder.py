"""Distributed checkpoints of torch: ``.metadata`` and ``.distcp`` files with pieces of tensors.

References
----------
torch/distributed/checkpoint/metadata.py (``Metadata``, ``MetadataIndex``, ``ChunkStorageMetadata``)
and filesystem.py (``_StorageInfo``: each piece is what ``torch.save`` writes, at an offset in a
file); planner_data, of default_planner.py, has the keys of which a flat name was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.array_trees import read_tree
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.module_layouts import layouts_of
from rnnscope.checkpoints.torch.pickle_data import read_pickle
from rnnscope.checkpoints.torch.pickled_values import OpaqueKey, PickledTensor, Record
from rnnscope.checkpoints.torch.zip_archive import read_zip
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import InnerFile, map_file
from rnnscope.files.arrays.loadable_arrays import LoadableArray, reading_by_name
from rnnscope.files.guarding.limits import require_inside
from rnnscope.model.cell import Array

METADATA = ".metadata"
PIECES = ".distcp"
MAX_METADATA = 256 * 2**20
MAX_TENSOR = 16 * 2**30


@dataclass(frozen=True)
class Piece:
    """A part of a tensor, and where its bytes lie."""

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    file: str
    offset: int
    length: int


def _folder(path: Path) -> Path:
    return path.parent if path.name == METADATA else path


def sniff(path: Path) -> bool:
    """Whether a folder, or its ``.metadata``, is such a checkpoint. Never raises."""
    try:
        folder = _folder(path)
        metadata = folder / METADATA
        if not metadata.is_file():
            return False
        with metadata.open("rb") as file:
            head = file.read(256)
        return head[:1] == b"\x80" and b"torch.distributed.checkpoint" in head
    except OSError:
        return False


def read_distributed(path: Path, layout: str | None = None) -> Checkpoint:
    """Read the recurrent modules of a distributed checkpoint.

    Raises
    ------
    CheckpointError
        It is damaged, or a file of it is missing.
    UnsupportedCellError
        It holds no recurrent module.
    """
    folder = _folder(path)
    metadata = folder / METADATA
    with metadata.open("rb") as file:
        held = read_pickle(file, metadata)
    try:
        tensors = _tensors(held)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise _damaged(metadata, "the metadata of tensors", str(error)[:200]) from error
    files = {piece.file for _, pieces in tensors.values() for piece in pieces}
    places = {name: _file(folder, name, metadata) for name in sorted(files)}
    arrays = [
        LoadableArray(name, shape, partial(_load, f"{folder}: {name}", shape, pieces, places))
        for name, (shape, pieces) in tensors.items()
    ]
    found, named = read_tree(arrays, folder, layouts_of(layout))
    return Checkpoint(
        path=folder,
        format=READER.name,
        framework="PyTorch (distributed checkpoint)",
        files=(metadata, *places.values()),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=tuple(found.notes),
        read_left_out=reading_by_name(named),
    )


def _file(folder: Path, name: str, metadata: Path) -> Path:
    place = folder / name
    require_inside(place, folder, metadata, CheckpointError)
    if not place.is_file():
        raise _damaged(metadata, f"the file {name} beside it", "none of that name")
    return place


def _tensors(held: Any) -> dict[str, tuple[tuple[int, ...], list[Piece]]]:
    """Shape and pieces of every tensor by name."""
    attributes = _attributes(held)
    stored: dict[tuple[str, tuple[int, ...]], Mapping[Any, Any]] = {}
    for key, info in attributes["storage_data"].items():
        index = _attributes(key.key if isinstance(key, OpaqueKey) else key)
        stored[str(index["fqn"]), _sizes(index.get("offset") or ())] = _attributes(info)
    paths = attributes.get("planner_data")
    found = {}
    for name, entry in attributes["state_dict_metadata"].items():
        described = _attributes(entry)
        if "chunks" not in described:  # bytes: numbers and texts
            continue
        shape = _sizes(described["size"])
        pieces = [_piece(str(name), _attributes(chunk), stored) for chunk in described["chunks"]]
        if sum(prod(piece.sizes) for piece in pieces) != prod(shape):
            raise ValueError(f"'{name}' of shape {shape} in pieces that do not make it")
        path = paths.get(name) if isinstance(paths, dict) else None
        keys = path if isinstance(path, tuple) and path else (name,)
        found["/".join(map(str, keys))] = (shape, pieces)
    return found


def _piece(name: str, chunk: Mapping[Any, Any], stored: Mapping[Any, Mapping[Any, Any]]) -> Piece:
    starts, sizes = _sizes(chunk["offsets"]), _sizes(chunk["sizes"])
    info = stored.get((name, starts)) or stored[name, ()]
    if info.get("transform_descriptors"):
        raise ValueError(f"'{name}' is kept with {info['transform_descriptors']}")
    offset, length = info["offset"], info["length"]
    if not all(type(number) is int and number >= 0 for number in (offset, length)):
        raise ValueError(f"'{name}' without a place")
    return Piece(starts, sizes, str(info["relative_path"]), offset, length)


def _attributes(item: Any) -> Mapping[Any, Any]:
    if not isinstance(item, Record):
        raise TypeError(f"a {type(item).__name__} in the place of an object")
    return item.attributes


def _sizes(value: Any) -> tuple[int, ...]:
    sizes = tuple(value)
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"sizes that are none: {sizes}")
    return sizes


def _load(
    where: str, shape: tuple[int, ...], pieces: list[Piece], places: Mapping[str, Path]
) -> Array:
    if prod(shape) * 8 > MAX_TENSOR:
        raise _damaged(where, f"at most {MAX_TENSOR} bytes", f"shape {shape}")
    whole: Array | None = None
    for piece in pieces:
        part = _load_piece(where, piece, places[piece.file])
        if part.shape != piece.sizes or len(piece.starts) != len(shape):
            raise _damaged(where, f"a piece of shape {piece.sizes}", f"{part.shape}")
        if piece.sizes == shape:
            return part
        whole = np.zeros(shape, part.dtype) if whole is None else whole
        place = tuple(
            slice(start, start + size)
            for start, size in zip(piece.starts, piece.sizes, strict=True)
        )
        if whole[place].shape != part.shape:
            raise _damaged(where, f"pieces inside {shape}", f"one at {piece.starts}")
        whole[place] = part
    return np.zeros(shape, np.float32) if whole is None else whole


def _load_piece(where: str, piece: Piece, path: Path) -> Array:
    data = map_file(path)[piece.offset : piece.offset + piece.length]
    if len(data) != piece.length:
        raise _damaged(where, f"{piece.length} bytes at {piece.offset} of {path.name}", "fewer")
    opened = read_zip(InnerFile(path, f"piece at {piece.offset}", data))
    if not isinstance(opened.value, PickledTensor):
        raise _damaged(where, "a tensor", type(opened.value).__name__)
    return opened.load(opened.value, where)


def _damaged(where: object, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "The distributed checkpoint is incomplete or damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="copy the whole folder again; the files of all processes belong to it",
    )


READER = Reader(
    name="torch-distributed",
    title="Distributed checkpoint of PyTorch (folder with .metadata and .distcp files)",
    reads="what safetensors reads, of tensors in pieces, too, however many processes wrote them",
    does_not_read="pieces that an extension has compressed",
    sniff=sniff,
    read=read_distributed,
    options=("layout",),
)
