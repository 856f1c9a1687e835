"""Reader of TensorFlow's Saver V2 bundle: one ``.index`` table and its ``.data-…`` shards.

The index maps each variable's name to its dtype, shape and place in a shard; the shards are the
tensors' little-endian bytes. Sizes are checked against the files when a bundle is opened;
checksums when a variable is read.

References
----------
tensorflow/core/util/tensor_bundle/tensor_bundle.{h,cc}.
"""

from __future__ import annotations

import difflib
import math
from pathlib import Path

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.bundle_index import (
    BundleEntry,
    BundleIndex,
    Extents,
    corrupted,
    index_path,
    is_bundle_index,
    read_index,
)
from rnnscope.files.tensorflow.ordered_code import FULL_EXTENT, slice_key
from rnnscope.files.tensorflow.protos import (
    DTYPES,
    STORED_DTYPES,
    STRING,
    dtype_name,
    unreadable_dtype,
    widen,
)
from rnnscope.files.tensorflow.snappy import read_varint
from rnnscope.files.tensorflow.table import masked_crc32c
from rnnscope.model.cell import Array

__all__ = ["TensorBundle", "VariableInfo", "index_path", "is_bundle_index"]


@dataclass(frozen=True)
class VariableInfo:
    """One variable of a bundle.

    Attributes
    ----------
    name : str
    dtype : str
        As stored: ``"float32"``, ``"bfloat16"``, ``"string"``. What reading gives may be wider.
    shape : tuple of int
        Of the whole variable, also where it is stored in parts.
    parts : int
        How many slices it is stored in; 1 for a variable that is not partitioned.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    parts: int = 1


@dataclass(frozen=True, eq=False)
class TensorBundle:
    """An opened bundle: `open` makes it, `read` gives the arrays.

    Attributes
    ----------
    prefix : Path
        What the files' names have in common: ``model.ckpt-100``.
    variables : dict of str to VariableInfo
        By name, in the order of the index.
    """

    prefix: Path
    variables: dict[str, VariableInfo]
    _whole: dict[str, BundleEntry]
    _index: BundleIndex

    @classmethod
    def open(cls, prefix: Path) -> TensorBundle:
        """Read the index and check it against the shards, without reading a tensor.

        Raises
        ------
        CheckpointError
            If the index or a shard is missing, truncated or corrupted, or the bundle was written
            on a big-endian machine or by a newer format.
        """
        index = read_index(prefix)
        whole = {entry.name: entry for entry in index.entries.values() if not entry.is_slice}
        variables = {
            name: VariableInfo(
                name, dtype_name(entry.dtype), entry.shape, max(1, len(entry.slices))
            )
            for name, entry in whole.items()
        }
        return cls(prefix, variables, whole, index)

    @property
    def files(self) -> tuple[Path, ...]:
        """The index, and every shard that holds something."""
        return (self._index.path, *(shard.path for shard in self._index.shards.values()))

    def read(self, name: str) -> Array:
        """Read one variable and verify its checksum.

        Returns
        -------
        ndarray
            A new array of the variable's shape. float16 and bfloat16 are widened to float32,
            which is exact; strings come as an object array of bytes; other dtypes as stored.

        Raises
        ------
        CheckpointError
            If there is no such variable, its dtype is none that rnnscope reads, its bytes do not
            match their checksum, or its slices do not make up the whole.
        """
        entry = self._whole.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self.variables, n=3)
            raise CheckpointError(
                "A checkpoint has no variable of this name.",
                where=self.prefix,
                expected=name,
                found=f"{len(self.variables)} others",
                hint=f"did you mean {' or '.join(near)}?" if near else None,
            )
        where = f"{self.prefix}, variable {name}"
        return self._join(entry, where) if entry.slices else self._load(entry, where)

    def _load(self, entry: BundleEntry, where: str) -> Array:
        """One tensor or slice from its shard; `open` has checked that the shard can hold it."""
        if entry.dtype != STRING and entry.dtype not in DTYPES:
            raise unreadable_dtype(entry.dtype, where)
        shard = self._index.shards[entry.shard].path
        raw = np.empty(entry.size, np.uint8)
        try:
            with shard.open("rb") as file:
                file.seek(entry.offset)
                count = file.readinto(raw.data)
        except OSError as error:
            raise CheckpointError(
                "A shard of a checkpoint cannot be read.",
                where=shard,
                found=error.strerror,
                hint="check the file and its permissions",
            ) from error
        where = f"{where}, byte {entry.offset} of {shard.name}"
        if count != entry.size:
            raise corrupted(where, f"{entry.size} bytes", f"{count} bytes")
        if entry.dtype == STRING:
            return _decode_strings(raw.tobytes(), entry, where)
        _check_crc(raw, entry.crc, where)
        return widen(raw.view(STORED_DTYPES[entry.dtype]).reshape(entry.shape), entry.dtype)

    def _join(self, entry: BundleEntry, where: str) -> Array:
        """A partitioned variable from its slices, which must tile it exactly."""
        if entry.dtype not in DTYPES:
            raise unreadable_dtype(entry.dtype, where)
        parts = [self._part(entry, extents, where) for extents in entry.slices]
        size, held = math.prod(entry.shape), sum(math.prod(part.shape) for part, _ in parts)
        if held != size:
            raise corrupted(where, f"slices of {size} elements in all", f"{held} elements")
        # Slices of an honest bundle lie apart, so that the shards hold all of them at once.
        stored = sum(part.size for part, _ in parts)
        on_disk = sum(shard.size for shard in self._index.shards.values())
        if stored > on_disk:
            raise corrupted(where, f"slices of at most {on_disk} bytes in all", f"{stored} bytes")
        whole = np.empty(entry.shape, DTYPES[entry.dtype])
        covered = np.zeros(entry.shape, np.bool_)
        for part, place in parts:
            whole[place] = self._load(part, where)
            covered[place] = True
        if not covered.all():
            raise corrupted(where, "slices that cover the variable", "slices that overlap")
        return whole

    def _part(
        self, whole: BundleEntry, extents: Extents, where: str
    ) -> tuple[BundleEntry, tuple[slice, ...]]:
        """The entry of a slice, and its place in the whole variable."""
        if len(extents) != len(whole.shape):
            raise corrupted(where, f"slices with {len(whole.shape)} axes", f"{extents}")
        place = tuple(
            slice(start, start + (axis if length == FULL_EXTENT else length))
            for (start, length), axis in zip(extents, whole.shape, strict=True)
        )
        for along, axis in zip(place, whole.shape, strict=True):
            if not 0 <= along.start <= along.stop <= axis:
                raise corrupted(where, f"slices within {whole.shape}", f"{extents}")
        part = self._index.entries.get(slice_key(whole.key, extents))
        if part is None or part.slices:
            raise corrupted(where, f"an entry for the slice {extents}", "none in the index")
        shape = tuple(along.stop - along.start for along in place)
        if (part.shape, part.dtype) != (shape, whole.dtype):
            raise corrupted(
                f"{where}, slice {extents}",
                f"{dtype_name(whole.dtype)} {shape}",
                f"{dtype_name(part.dtype)} {part.shape}",
            )
        return part, place


def _decode_strings(raw: bytes, entry: BundleEntry, where: str) -> Array:
    """Varint lengths, their checksum, then the strings; lengths are hashed as fixed integers."""
    count = math.prod(entry.shape)
    lengths: list[int] = []
    position = 0
    if count > len(raw):
        raise corrupted(where, f"the lengths of {count} strings", f"{len(raw)} bytes")
    try:
        for _ in range(count):
            length, position = read_varint(raw, position)
            lengths.append(length)
    except ValueError as error:
        raise corrupted(where, f"the lengths of {count} strings", str(error)) from error
    start = position + 4
    if start + sum(lengths) != len(raw):
        raise corrupted(where, f"{start + sum(lengths)} bytes", f"{len(raw)} bytes")
    hashed = b"".join(n.to_bytes(4 if n < 1 << 32 else 8, "little") for n in lengths)
    _check_crc(hashed, int.from_bytes(raw[position:start], "little"), where)
    _check_crc(hashed + raw[position:], entry.crc, where)
    strings = np.empty(count, dtype=object)
    for number, length in enumerate(lengths):
        strings[number] = raw[start : start + length]
        start += length
    return strings.reshape(entry.shape)


def _check_crc(data: bytes | Array, expected: int, where: str) -> None:
    found = masked_crc32c(data)
    if found != expected:
        raise corrupted(where, f"masked CRC32C {expected:08x}", f"{found:08x}")
