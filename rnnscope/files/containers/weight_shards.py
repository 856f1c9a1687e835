"""Weights of TensorFlow.js: a manifest in JSON, and the shards whose bytes it lays out.

References
----------
tfjs-core/src/io/types.ts (WeightsManifestConfig) and io_utils.ts (decodeWeights): the arrays of a
group follow one another in the bytes of its files, put together; a quantised one is
``number * scale + min``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.json_config import ConfigView, object_views
from rnnscope.files.messages.values_in_file import (
    Grid,
    HeldValue,
    Place,
    ValueInFile,
    WidenedValue,
)
from rnnscope.model.cell import Array

DTYPES = {"bool": "?", "complex64": "<c8", "float32": "<f4", "int32": "<i4", "uint8": "<u1"}
QUANTISED = {"float16": "<f2", "uint16": "<u2", "uint8": "<u1"}
MAX_BYTES = 16 * 2**30
MAX_RANK = 32


@dataclass(frozen=True, eq=False)
class ShardedArray:
    """An array of a manifest.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
        Of its values, as the manifest says it.
    stored : str
        The numpy dtype of its bytes.
    scale, least : float or None
        What whole numbers stand for; None where the values are stored themselves.
    start : int
        Its first byte in its group.
    group : ShardGroup
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored: str
    scale: float | None
    least: float
    start: int
    group: ShardGroup

    @property
    def size(self) -> int:
        """In bytes."""
        return math.prod(self.shape) * np.dtype(self.stored).itemsize

    @property
    def in_file(self) -> HeldValue | None:
        """The values, not read yet; None of those that reading rounds."""
        places = self.group.places(self.start, self.size, self.name)
        stored = ValueInFile(places, self.stored)
        if self.stored == DTYPES[self.dtype] and self.scale is None:
            return stored
        if self.dtype != "float32":
            return None
        grid = None if self.scale is None else Grid(self.scale, least=self.least)
        return WidenedValue(stored, self.shape, grid)

    def load(self) -> Array:
        """The values."""
        dtype = np.dtype(DTYPES[self.dtype])
        value = self.in_file
        if value is not None:
            found = np.frombuffer(value.read(), dtype)
        else:
            stored = ValueInFile(self.group.places(self.start, self.size, self.name))
            made = np.frombuffer(stored.read(), self.stored).astype(np.float64)
            if self.scale is not None:
                made = made * self.scale + self.least
            found = np.floor(made + 0.5) if self.dtype == "int32" else made
        return found.astype(dtype.newbyteorder("="), copy=False).reshape(self.shape)


class ShardGroup:
    """The files of one group, in order.

    Parameters
    ----------
    folder : Path
        That of the manifest; all files lie in it.
    names : list
        Paths, as the manifest says them.
    """

    def __init__(self, folder: Path, names: list[Any]) -> None:
        self._folder = folder
        self._names = names

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files, each checked to be in the folder."""
        return tuple(self._file(name) for name in self._names)

    def _file(self, name: Any) -> Path:
        folder = self._folder.resolve()
        try:
            path = (self._folder / name).resolve() if isinstance(name, str) else None
            inside = path is not None and path.is_relative_to(folder)
            there = inside and path is not None and path.is_file()
        except (OSError, ValueError, RuntimeError):  # NUL in a name, a circle of links
            path, inside, there = None, False, False
        if path is not None and inside and there:
            return path
        raise CheckpointError(
            "A file of weights is not to be had." if inside or path is None
            else "A file of weights lies outside the model's folder, and is not read.",
            where=self._folder,
            expected=f"a file in {folder}",
            found=str(name)[:200],
            hint="put the weights beside model.json, under the names that they had",
        )  # fmt: skip

    @cached_property
    def _sizes(self) -> list[int]:
        return [path.stat().st_size for path in self.files]

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate(self._sizes, initial=0))

    @property
    def size(self) -> int:
        """Of all files together, in bytes."""
        return self._starts[-1]

    def places(self, start: int, count: int, name: str) -> tuple[Place, ...]:
        """Where bytes of the group lie, in one file or in several."""
        if start + count > self.size:
            raise CheckpointError(
                "The files of weights are shorter than the manifest says.",
                where=f"{self._folder}: {name}",
                expected=f"{count} bytes from byte {start} on",
                found=f"{self.size} bytes in {len(self.files)} files",
                hint="a file is truncated or missing: copy or download them again",
            )
        found: list[Place] = []
        number = bisect_right(self._starts, start) - 1
        while count:
            at = start - self._starts[number]
            size = min(count, self._sizes[number] - at)
            if size:
                found.append(Place.at(self.files[number], at, size))
            start, count, number = start + size, count - size, number + 1
        return tuple(found)


def read_manifest(manifest: list[Any], path: Path) -> dict[str, ShardedArray]:
    """The arrays of a manifest, by name.

    Raises
    ------
    CheckpointError
        It is none, or two arrays have one name.
    """
    found: dict[str, ShardedArray] = {}
    for view in object_views(manifest, f"{path.name}: weightsManifest"):
        group, start = ShardGroup(path.parent, view.get("paths", list)), 0
        for entry in view.views("weights"):
            one = _array(entry, group, start)
            if one.name in found:
                raise CheckpointError(
                    "The manifest names two arrays alike.", where=entry.where, found=one.name
                )
            found[one.name] = one
            start += one.size
    return found


def _array(entry: ConfigView, group: ShardGroup, start: int) -> ShardedArray:
    dtype = entry.get("dtype", str)
    name = entry.get("name", str)
    shape = entry.get("shape", list)
    # A truth of JSON is an int of Python.
    if not all(type(size) is int and size >= 0 for size in shape) or len(shape) > MAX_RANK:
        raise _unreadable(entry, "a shape", str(shape))
    stored, scale, least = DTYPES.get(dtype, ""), None, 0.0
    if "quantization" in entry:
        quantised = entry.view("quantization")
        dtype = quantised.get("original_dtype", str, dtype)
        stored = QUANTISED.get(quantised.get("dtype", str), "")
        if stored != QUANTISED["float16"]:
            scale, least = quantised.get("scale", float), quantised.get("min", float)
    if dtype not in DTYPES or not stored:
        raise _unreadable(entry, f"one of {', '.join(DTYPES)}", dtype)
    made = ShardedArray(name, tuple(shape), dtype, stored, scale, least, start, group)
    if made.size > MAX_BYTES:
        raise _unreadable(entry, f"at most {MAX_BYTES} bytes", f"{made.size} bytes")
    return made


def _unreadable(entry: ConfigView, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "An array of the manifest cannot be read.",
        where=entry.where, expected=expected, found=found[:200],
    )  # fmt: skip
