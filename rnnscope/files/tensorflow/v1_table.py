"""Reader of TensorFlow's Saver V1 checkpoints: tables of saved slices of tensors.

A V1 checkpoint is one table file, or one a shard. The first entry lists the tensors with their
shapes, dtypes and slices; every other entry is one slice, its values spelt out in a TensorProto.

References
----------
tensorflow/core/util/{saved_tensor_slice.proto,saved_tensor_slice_util.h,tensor_slice_writer.cc}.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.bundle import VariableInfo
from rnnscope.files.tensorflow.bundle_index import Extents, corrupted
from rnnscope.files.tensorflow.ordered_code import FULL_EXTENT, slice_key
from rnnscope.files.tensorflow.protos import (
    DTYPES,
    STRING,
    dtype_name,
    parse,
    shape_of,
    tensor_to_array,
    unreadable_dtype,
)
from rnnscope.files.tensorflow.table import iter_table, read_table
from rnnscope.model.cell import Array

META_KEY = b""


def is_v1_table(path: Path) -> bool:
    """Whether a file is a V1 checkpoint or a shard of one, by its first entry; never raises.

    The index of a V2 bundle is a table file too; parsed as V1, its header lists no tensors.
    """
    try:
        key, value = next(iter_table(path), (b"-", b""))
        return key == META_KEY and len(parse("SavedTensorSlices", value, path).meta.tensor) > 0
    except (CheckpointError, ValueError):
        return False


@dataclass(frozen=True)
class _Saved:
    """A variable as all shards together list it: its slices, each with the shard that holds it."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    slices: tuple[tuple[Extents, Path], ...]


@dataclass(frozen=True, eq=False)
class V1Table:
    """An opened V1 checkpoint; `read` gives the arrays.

    Attributes
    ----------
    files : tuple of Path
        The shards, in order.
    variables : dict of str to VariableInfo
        By name.
    """

    files: tuple[Path, ...]
    variables: dict[str, VariableInfo]
    _saved: dict[str, _Saved]
    _loaded: dict[Path, dict[bytes, bytes]] = field(default_factory=dict)

    @classmethod
    def open(cls, files: Sequence[Path]) -> V1Table:
        """Read what every shard lists, without reading a tensor.

        Raises
        ------
        CheckpointError
            If a shard is missing, truncated, corrupted, of another kind, or two contradict.
        """
        saved: dict[str, _Saved] = {}
        for path in files:
            for found in _read_meta(path):
                known = saved.get(found.name, found)
                if (known.dtype, known.shape) != (found.dtype, found.shape):
                    raise corrupted(
                        f"{path}, variable {found.name}",
                        f"{dtype_name(known.dtype)} {known.shape}, as in another shard",
                        f"{dtype_name(found.dtype)} {found.shape}",
                    )
                more = found.slices if known is not found else ()
                saved[found.name] = replace(known, slices=(*known.slices, *more))
        variables = {
            name: VariableInfo(name, dtype_name(entry.dtype), entry.shape, len(entry.slices))
            for name, entry in sorted(saved.items())
        }
        return cls(tuple(files), variables, saved)

    def read(self, name: str) -> Array:
        """Read one variable; float16 comes as float32, as `TensorBundle.read` has it.

        Raises
        ------
        CheckpointError
            If its dtype is none that rnnscope reads, or its slices do not make up the whole.
        """
        entry = self._saved.get(name)
        if entry is None:
            raise CheckpointError(
                "A checkpoint has no variable of this name.",
                where=self.files[0],
                expected=name,
                found=f"{len(self.variables)} others",
            )
        where = f"{self.files[0]}, variable {name}"
        if entry.dtype != STRING and entry.dtype not in DTYPES:
            raise unreadable_dtype(entry.dtype, where)
        places = [_place(extents, entry.shape, where) for extents, _ in entry.slices]
        size = math.prod(entry.shape)
        held = sum(math.prod(along.stop - along.start for along in place) for place in places)
        if held != size:
            raise corrupted(where, f"slices of {size} elements in all", f"{held} elements")
        # Values are parsed, and their number checked, before the whole is allocated.
        parts = [
            self._load(entry, extents, place, path, where)
            for (extents, path), place in zip(entry.slices, places, strict=True)
        ]
        if len(parts) == 1:
            return parts[0]
        whole = np.empty(entry.shape, parts[0].dtype)
        covered = np.zeros(entry.shape, np.bool_)
        for part, place in zip(parts, places, strict=True):
            whole[place] = part
            covered[place] = True
        if not covered.all():
            raise corrupted(where, "slices that cover the variable", "slices that overlap")
        return whole

    def _load(
        self, entry: _Saved, extents: Extents, place: tuple[slice, ...], path: Path, where: str
    ) -> Array:
        """One slice, from the entry of its shard."""
        table = self._loaded.get(path)
        if table is None:
            table = self._loaded.setdefault(path, read_table(path))
        value = table.get(slice_key(entry.name.encode(), extents))
        if value is None:
            raise corrupted(where, f"an entry for the slice {extents}", "none in the table")
        saved = parse("SavedTensorSlices", value, where).data
        if saved.name != entry.name:
            raise corrupted(where, f"values of {entry.name}", f"values of {saved.name!r}")
        tensor = saved.data
        # The writer leaves both out: the list of tensors has them.
        tensor.dtype = entry.dtype
        tensor.ClearField("tensor_shape")
        for along in place:
            tensor.tensor_shape.dim.add(size=along.stop - along.start)
        return tensor_to_array(tensor, where, exact=True)


def _read_meta(path: Path) -> list[_Saved]:
    """The tensors that a table lists, with the slices that it holds."""
    key, value = next(iter_table(path), (b"-", b""))
    meta: Any = parse("SavedTensorSlices", value, path).meta if key == META_KEY else None
    if meta is None or not meta.tensor:
        raise CheckpointError(
            "A table file is no checkpoint of TensorFlow's Saver V1.",
            where=path,
            expected="a list of tensors as its first entry",
            found=f"key {key!r}",
            hint="name the prefix or the folder of the checkpoint",
        )
    return [
        _Saved(
            tensor.name,
            tensor.type,
            shape_of(tensor.shape, f"{path}, variable {tensor.name}"),
            tuple((_extents(part), path) for part in tensor.slice),
        )
        for tensor in meta.tensor
    ]


def _extents(part: Any) -> Extents:
    return tuple(
        (extent.start, extent.length if extent.HasField("length") else FULL_EXTENT)
        for extent in part.extent
    )


def _place(extents: Extents, shape: tuple[int, ...], where: str) -> tuple[slice, ...]:
    """Where a slice lies in the whole variable, checked to lie within it."""
    if len(extents) != len(shape):
        raise corrupted(where, f"slices with {len(shape)} axes", f"{extents}")
    place = tuple(
        slice(start, start + (axis if length == FULL_EXTENT else length))
        for (start, length), axis in zip(extents, shape, strict=True)
    )
    for along, axis in zip(place, shape, strict=True):
        if not 0 <= along.start <= along.stop <= axis:
            raise corrupted(where, f"slices within {shape}", f"{extents}")
    return place
