"""Writing the master: the first part's tree, every array over sequences tied from all parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import TraceError, spell
from rnnscope.files.hdf5.datasets import check_storage
from rnnscope.files.hdf5.safe_hdf5 import child, child_names, load_array, open_h5
from rnnscope.model.cell import Array
from rnnscope.trace.attributes import CHECKS
from rnnscope.trace.labels import label
from rnnscope.trace.partial import PartialFile
from rnnscope.trace.parts.digest import ends_sha256
from rnnscope.trace.parts.kept_pooled import (
    COPIED_BYTES,
    copy_attribute,
    copy_attributes,
    keep_pooled,
)
from rnnscope.trace.parts.mark import ATTRIBUTES, PartMark
from rnnscope.trace.parts.place import check_folder_name
from rnnscope.trace.parts.table import BYTES, ENDS, FOLDER, NOTE, RUN, SHA256, escaped
from rnnscope.trace.schema import (
    INPUT_STEPS,
    LENGTHS,
    OFFSETS,
    PARTS,
    POOLED,
    SEQUENCE,
    STEP,
    storable_text,
)
from rnnscope.trace.storage import make_readable
from rnnscope.trace.stores.hdf5_nodes import MAX_REFERENCES, Hdf5Array

NOTE_TEXT = (
    "The arrays of this file are virtual datasets: their values are in the folder parts_folder "
    "beside it. HDF5 reads a part that is missing as NaN (floats) or -1 (integers) and says "
    "nothing; rnnscope names it."
)

SMALL = frozenset({f"/{LENGTHS}", f"/{INPUT_STEPS}"})
"""A number for each sequence: copied, so that nobody opens every part to know them."""

SINCE_HDF5_1_10 = ("v108", "v110")


@dataclass(frozen=True)
class PartFile:
    """A part that is to be tied.

    Attributes
    ----------
    path : Path
    mark : PartMark
    steps : int
        Of a ragged trace: how many it stores.
    """

    path: Path
    mark: PartMark
    steps: int = 0


def tie(
    parts: Sequence[PartFile],
    output: Path,
    *,
    checks: str | None,
    force: bool = False,
    copy: bool = False,
) -> None:
    """Write the master of a whole set of parts, or one file with copies of all values.

    Parameters
    ----------
    parts : sequence of PartFile
        In order, none missing, in one folder beside `output`.
    output : Path
    checks : str or None
        The findings of all parts, as JSON.
    force : bool
        Replace a file that is there, when the new one is whole. Pooled arrays of a master of the
        same run stay.
    copy : bool
        Copy the values.

    Raises
    ------
    TraceError
        It cannot be written; then nothing is left.
    """
    folder = parts[0].path.parent
    if not copy:
        check_folder_name(folder)
    partial = PartialFile(output, force)
    try:
        with open_h5(parts[0].path, error=TraceError) as first:
            many = len([*_datasets(first)]) > MAX_REFERENCES
            partial.libver = SINCE_HDF5_1_10 if many else None
            partial.open()
            _Tied(partial.file, first, parts, copy).write(checks)
            keep_pooled(output, partial.file, parts[0].mark.run)
            partial.finish()
    except (OSError, RuntimeError) as error:
        partial.abandon(keep=False)
        raise TraceError(
            "The trace cannot be written.",
            where=output,
            expected="room on the disk, and permission to write",
            found=str(error),
            hint=f"the parts are as they were; name another place with {spell('output')}",
        ) from error
    except BaseException:  # nothing is swallowed: an interrupt leaves no half file either
        partial.abandon(keep=False)
        raise


class _Tied:
    """The master while it is written."""

    def __init__(self, file: Any, first: Any, parts: Sequence[PartFile], copy: bool) -> None:
        self._file, self._first, self._parts, self._copy = file, first, parts, copy
        self._total = parts[0].mark.place.sequences
        rows = [part.mark.place.rows for part in parts]
        self._sequences = np.array([0, *(one.stop for one in rows)])
        self._steps = np.cumsum([0, *(part.steps for part in parts)])

    def write(self, checks: str | None) -> None:
        """Fill the empty file."""
        for name in self._first.attrs:
            if name not in ATTRIBUTES:
                copy_attribute(self._first, self._file, name)
        self._file.attrs["complete"] = 0
        if checks is not None:
            self._file.attrs[CHECKS] = storable_text(checks)
        if not self._copy:
            self._file.attrs[FOLDER] = self._parts[0].path.parent.name
            self._file.attrs[RUN] = self._parts[0].mark.run
            self._file.attrs[NOTE] = NOTE_TEXT
        found = [one for one in _datasets(self._first)
                 if not str(one.name).startswith(f"/{POOLED}/")]  # fmt: skip
        for source in found:
            if source.is_scale:
                made = self._make(source)
                made.make_scale(source.attrs["NAME"])
        names: dict[Any, str] = {}
        for source in found:
            if source in names:
                self._file[source.name] = self._file[names[source]]  # two names of one array
                continue
            names[source] = str(source.name)
            if source.is_scale:
                continue
            made = self._make(source)
            for dimension, axis in zip(made.dims, source.dims, strict=True):
                for at in range(len(axis)):
                    dimension.attach_scale(self._file[axis[at].name])
        for group in _groups(self._first):
            if f"{group.name}/".startswith(f"/{POOLED}/"):
                continue
            made = self._file.require_group(group.name)
            for name in group.attrs:
                copy_attribute(group, made, name)
        if not self._copy:
            self._write_table()

    def _make(self, source: Any) -> Any:
        """A dataset of the master, with its attributes."""
        bounds = self._bounds(source)
        if source.name == f"/{OFFSETS}":
            made = self._file.create_dataset(source.name, data=self._offsets())
        elif source.name in SMALL:
            made = self._file.create_dataset(source.name, data=self._whole(str(source.name)))
        elif bounds is None:
            made = self._file.create_dataset(source.name, data=source[()])
        elif self._copy:
            made = self._copied(source, bounds)
        else:
            made = self._virtual(source, bounds)
        copy_attributes(source, made)
        return made

    def _bounds(self, source: Any) -> Array | None:
        """Where each part begins in an array; None for one that is the same in every part."""
        if source.is_scale:
            axis = str(source.name)
        else:
            axis = str(source.dims[0][0].name) if len(source.dims) and len(source.dims[0]) else ""
        return {f"/{SEQUENCE}": self._sequences, f"/{STEP}": self._steps}.get(axis)

    def _whole(self, name: str) -> Array:
        """A small array of all parts."""
        found = []
        for part in self._parts:
            with open_h5(part.path, error=TraceError) as file:
                found.append(load_array(_dataset(file, name), TraceError))
        return np.concatenate(found)

    def _offsets(self) -> Array:
        ends = [np.zeros(1, np.int64)]
        for part, begins in zip(self._parts, self._steps, strict=False):
            with open_h5(part.path, error=TraceError) as file:
                ends.append(load_array(_dataset(file, OFFSETS), TraceError)[1:] + begins)
        return np.concatenate(ends)

    def _virtual(self, source: Any, bounds: Array) -> Any:
        import h5py

        shape = (int(bounds[-1]), *source.shape[1:])
        layout = h5py.VirtualLayout(shape, source.dtype)
        folder = self._parts[0].path.parent.name
        for at, part in enumerate(self._parts):
            begins, ends = int(bounds[at]), int(bounds[at + 1])
            if ends > begins:
                name = f"{folder}/{part.mark.place.file_name}"
                inner = (ends - begins, *source.shape[1:])
                layout[begins:ends] = h5py.VirtualSource(name, escaped(source.name), shape=inner)
        missing = np.nan if source.dtype.kind == "f" else -1
        return self._file.create_virtual_dataset(source.name, layout, fillvalue=missing)

    def _copied(self, source: Any, bounds: Array) -> Any:
        shape = (int(bounds[-1]), *source.shape[1:])
        how = source.id.get_create_plist()
        made = self._file.create_dataset(source.name, shape, source.dtype, dcpl=how)
        row = source.dtype.itemsize * int(np.prod(source.shape[1:]))
        each = max(1, COPIED_BYTES // max(1, row))
        for at, part in enumerate(self._parts):
            with open_h5(part.path, error=TraceError) as file:
                values = _dataset(file, str(source.name))
                for start in range(0, len(values), each):
                    block = values[start : start + each]
                    made[bounds[at] + start : bounds[at] + start + len(block)] = block
        return made

    def _write_table(self) -> None:
        group = self._file.create_group(PARTS)
        scale = group.create_dataset("part", data=np.arange(1, len(self._parts) + 1))
        byte = group.create_dataset("byte", data=np.arange(32))
        for one in (scale, byte):
            one.make_scale(one.name.rpartition("/")[2])
            label(Hdf5Array(one), one.name.rpartition("/")[2])
        sizes = np.array([part.path.stat().st_size for part in self._parts], np.int64)
        digests = [bytes.fromhex(part.mark.sha256) for part in self._parts]
        ends = [ends_sha256(part.path) for part in self._parts]
        columns = {BYTES: sizes, SHA256: _as_bytes(digests), ENDS: _as_bytes(ends)}
        for name, values in columns.items():
            made = group.create_dataset(name, data=values)
            for dimension, axis in zip(made.dims, (scale, byte), strict=False):
                dimension.attach_scale(axis)
            label(Hdf5Array(made), name)


def _dataset(file: Any, name: str) -> Any:
    """A dataset that a part has to have, as its schema says."""
    found: Any = child(file, name, TraceError)
    check_storage(found, TraceError)
    make_readable(found)
    return found


def _as_bytes(digests: Sequence[bytes]) -> Array:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), 32)


def _groups(group: Any) -> list[Any]:
    import h5py

    found = []
    for name in child_names(group, TraceError):
        item = child(group, name, TraceError)
        if isinstance(item, h5py.Group):
            found += [item, *_groups(item)]
    return found


def _datasets(group: Any) -> list[Any]:
    """Every dataset under every name, in the order of names."""
    import h5py

    found: list[Any] = []
    for name in child_names(group, TraceError):
        item = child(group, name, TraceError)
        found += _datasets(item) if isinstance(item, h5py.Group) else [item]
    return found
