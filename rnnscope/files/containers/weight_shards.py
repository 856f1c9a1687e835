"""Weights of TensorFlow.js: a manifest in JSON, and the shards whose bytes it lays out.

References
----------
tfjs-core/src/io/types.ts (WeightsManifestConfig) and io_utils.ts (decodeWeights): the arrays of a
group follow one another in the bytes of its files, put together; a quantised one is
``number * scale + min``.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.json_config import ConfigView, object_views
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

    def load(self) -> Array:
        """The values."""
        values = np.frombuffer(self.group.read(self.start, self.size, self.name), self.stored)
        if self.scale is not None:
            made = values.astype(np.float64) * self.scale + self.least
            values = np.floor(made + 0.5) if self.dtype == "int32" else made
        dtype = np.dtype(DTYPES[self.dtype]).newbyteorder("=")
        return values.astype(dtype).reshape(self.shape)


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
    def size(self) -> int:
        """Of all files together, in bytes."""
        return sum(path.stat().st_size for path in self.files)

    def read(self, start: int, count: int, name: str) -> bytes:
        """Bytes of the group, across its files."""
        if start + count > self.size:
            raise CheckpointError(
                "The files of weights are shorter than the manifest says.",
                where=f"{self._folder}: {name}",
                expected=f"{count} bytes from byte {start} on",
                found=f"{self.size} bytes in {len(self.files)} files",
                hint="a file is truncated or missing: copy or download them again",
            )
        parts, left = [], count
        for path in self.files:
            size = path.stat().st_size
            if start < size and left:
                with path.open("rb") as file:
                    file.seek(start)
                    parts.append(file.read(min(left, size - start)))
                left -= len(parts[-1])
            start = max(0, start - size)
        return b"".join(parts)


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
