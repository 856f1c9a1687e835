"""Reading an HDF5 file that nobody vouches for.

HDF5 can point outside itself (external and soft links, external storage, virtual datasets) and
can declare arrays far larger than the file. Both are refused here, before anything is allocated;
what h5py raises on a damaged file becomes one of rnnscope's errors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from rnnscope.errors import CheckpointError, RnnscopeError
from rnnscope.files.archives.first_bytes import HDF5
from rnnscope.files.guarding.limits import Unpacking
from rnnscope.files.guarding.regular import refuse_no_path
from rnnscope.files.hdf5.probe import probe
from rnnscope.model.cell import Array

if TYPE_CHECKING:
    import h5py


MAX_ARRAY = 16 * 2**30
"""The largest array that is read, in bytes."""

MAX_RATIO = 1032
"""Deflate stores 1032 bytes in one at best; a dataset that claims more is a bomb."""

MAX_ATTRIBUTE = 256 * 2**20
"""The largest attribute that is read, in bytes."""

MAX_DEPTH = 200
MAX_OBJECTS = 100_000
"""Limits of a walk over groups: hard links can form circles. Each part of a name is a group."""

Error = type[RnnscopeError]

_unpacking: dict[str, Unpacking] = {}
"""What the compressed datasets of an open file unpack to, by the file's name."""


def has_signature(path: Path) -> bool:
    """True if the file begins as an HDF5 file does. Never raises."""
    try:
        with path.open("rb") as file:
            return file.read(len(HDF5)) == HDF5
    except OSError:
        return False


@contextmanager
def open_h5(
    source: Path | BinaryIO, name: object = None, error: Error = CheckpointError
) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; what h5py raises inside becomes `error`.

    Parameters
    ----------
    source : Path or binary file object
    name : object, optional
        What messages call it; the path if not given.
    error : type of RnnscopeError
        What to raise, `CheckpointError` or `InputError`.

    Yields
    ------
    h5py.File

    Raises
    ------
    RnnscopeError
        The file is missing, empty, truncated or damaged; it names the file.
    """
    import h5py

    where = str(source if name is None else name)
    if isinstance(source, Path):
        _require_file(source, error)
    probe(source, where, error)
    with damage_as(error, where):
        file = h5py.File(source, "r")
        name_of_file = str(file.filename)
        _unpacking[name_of_file] = Unpacking(where, file.id.get_filesize(), error)
    try:
        with file:
            yield file
    finally:
        _unpacking.pop(name_of_file, None)


@contextmanager
def damage_as(error: Error, where: str) -> Iterator[None]:
    """Turn what h5py raises on damage into `error`; wrapped round calls of h5py only."""
    try:
        yield
    # h5py reports damage as any of these, depending on where in the file it is met.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as fault:
        raise error(
            "The HDF5 file cannot be read: it is truncated or damaged.",
            where=where,
            expected="a complete HDF5 file",
            found=str(fault) or type(fault).__name__,
            hint="Copy or download the file again, and compare its size with the original.",
        ) from fault


def _require_file(path: Path, error: Error) -> None:
    refuse_no_path(path, error)
    if not path.is_file():
        raise error("There is no such file.", where=path, hint="Check the path.")
    if path.stat().st_size == 0:
        raise error("The file is empty.", where=path, expected="an HDF5 file", found="0 bytes")


def child(
    group: h5py.Group, path: str, error: Error = CheckpointError
) -> h5py.Group | h5py.Dataset | None:
    """The object at a path below a group, or None; only hard links are followed.

    Raises
    ------
    RnnscopeError
        A soft or external link is on the way; it names the link.
    """
    import h5py

    item: h5py.Group | h5py.Dataset = group
    for part in path.split("/"):
        if not part:
            continue
        if not isinstance(item, h5py.Group):
            return None
        with damage_as(error, f"{item.name}: {part}"):
            link = item.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise error(
                "The HDF5 file holds a link, which rnnscope does not follow.",
                where=f"{item.name.rstrip('/')}/{part}",
                expected="a group or dataset of this file",
                found="an external link" if isinstance(link, h5py.ExternalLink) else "a soft link",
                hint="Write the file again with the data inside it.",
            )
        with damage_as(error, f"{item.name}: {part}"):
            item = item[part]
    return item


def child_group(group: h5py.Group, path: str, error: Error = CheckpointError) -> h5py.Group | None:
    """The group at a path, or None if nothing or something else is there."""
    import h5py

    item = child(group, path, error)
    return item if isinstance(item, h5py.Group) else None


def child_names(group: h5py.Group, error: Error = CheckpointError) -> list[str]:
    """The names in a group, in the order of names; a damaged one may be no UTF-8."""
    with damage_as(error, str(group.name)):
        return [_text(name) for name in itertools.islice(group, MAX_OBJECTS + 1)]


def walk_datasets(group: h5py.Group, error: Error = CheckpointError) -> Iterator[h5py.Dataset]:
    """Every dataset below a group, in the order of names; links are refused, circles cut off."""
    import h5py

    seen = 0
    waiting: list[tuple[h5py.Group, int]] = [(group, 0)]
    while waiting:
        parent, depth = waiting.pop()
        for name in child_names(parent, error):
            seen += 1
            if seen > MAX_OBJECTS or depth > MAX_DEPTH:
                raise error(
                    "The HDF5 file holds more groups than any model has.",
                    where=parent.name,
                    expected=f"at most {MAX_OBJECTS} objects, nested {MAX_DEPTH} deep",
                    found="more, or groups that contain themselves",
                )
            item = child(parent, name, error)
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield item


def require_plain(
    file: h5py.File, error: Error = CheckpointError, *, allow_virtual: bool = False
) -> None:
    """Refuse a file that leads elsewhere, before it is written to: links are followed for writing.

    Virtual datasets may be allowed by whoever writes none of the arrays that are there.

    Raises
    ------
    RnnscopeError
        It holds a link, or a dataset whose values are in another file; it names it.
    """
    for dataset in walk_datasets(file, error):
        with damage_as(error, dataset.name):
            outside = dataset.external or (dataset.is_virtual and not allow_virtual)
        if outside:
            raise _kept_outside(dataset, error)


def _kept_outside(dataset: h5py.Dataset, error: Error) -> RnnscopeError:
    return error(
        "A dataset keeps its values outside the file.",
        where=dataset.name,
        expected="values stored in the file itself",
        found="external storage" if dataset.external else "a virtual dataset",
        hint="Write the file again with the data inside it.",
    )


def load_array(dataset: h5py.Dataset, error: Error = CheckpointError) -> Array:
    """The whole dataset as a numpy array, after its claims are checked.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of integers, floats or booleans; float16, float32 and float64 keep their type, bfloat16
        (as Keras 3 marks it) becomes float32.
    error : type of RnnscopeError

    Returns
    -------
    ndarray
        Of the dataset's shape, in native byte order.

    Raises
    ------
    RnnscopeError
        External or virtual storage, a size that the stored bytes cannot hold, or a type that is
        no number; it names the dataset.
    """
    with damage_as(error, dataset.name):
        check_size(dataset, error)
    if dataset.dtype.kind == "V" and attribute_text(dataset, "dtype", error) == "bfloat16":
        with damage_as(error, dataset.name):
            halves = np.frombuffer(np.asarray(dataset[()]).tobytes(), dtype="<u2")
        # bfloat16 is the upper half of a float32.
        wide: Array = (halves.astype(np.uint32) << 16).view(np.float32)
        return wide.reshape(tuple(dataset.shape))
    if dataset.dtype.kind not in "fiub":
        raise error(
            "A dataset holds something other than numbers.",
            where=dataset.name,
            expected="integers or floats",
            found=str(dataset.dtype),
        )
    with damage_as(error, dataset.name):
        array: Array = np.asarray(dataset[()])
    native: Array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native


def check_size(dataset: h5py.Dataset, error: Error = CheckpointError) -> None:
    """Refuse a dataset that is stored elsewhere, or claims more than its bytes can hold.

    Raises
    ------
    RnnscopeError
        It names the dataset, what it claims and what is stored.
    """
    if dataset.external or dataset.is_virtual:
        raise _kept_outside(dataset, error)
    if dataset.shape is None:
        raise error("A dataset holds no values.", where=dataset.name, found="a null dataspace")
    claimed = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    filtered = dataset.id.get_create_plist().get_nfilters() > 0
    # The stored size is itself a claim of the header; the file's own size is not.
    whole_file = dataset.file.id.get_filesize()
    most = min(MAX_ARRAY, min(stored, whole_file) * (MAX_RATIO if filtered else 1))
    # A compact dataset lies in its header, and HDF5 reports what it declares.
    if claimed > most:
        raise error(
            "A dataset declares more values than the file stores.",
            where=dataset.name,
            expected=f"at most {most} bytes",
            found=f"shape {dataset.shape} of {dataset.dtype}, {claimed} bytes",
            hint="The file is damaged, or made to exhaust memory.",
        )
    if filtered and (unpacking := _unpacking.get(str(dataset.file.filename))) is not None:
        unpacking.take(claimed, str(dataset.name))


def attribute_text(
    item: h5py.Group | h5py.Dataset, name: str, error: Error = CheckpointError
) -> str | None:
    """A text attribute, whether stored as bytes or string; None if it is not there."""
    texts = _texts(item, name, error)
    return texts[0] if texts else None


def attribute_texts(
    item: h5py.Group, name: str, error: Error = CheckpointError
) -> tuple[str, ...] | None:
    """A list of texts; Keras cuts long ones into ``name0``, ``name1`` … None if not there."""
    whole = _texts(item, name, error)
    if whole is not None:
        return whole
    pieces: list[str] = []
    for number in range(MAX_OBJECTS):
        piece = _texts(item, f"{name}{number}", error)
        if piece is None:
            break
        pieces += piece
    return tuple(pieces) or None


def _text(entry: object) -> str:
    # A name that is no UTF-8 still has to be shown and looked up: h5py keeps such bytes likewise.
    return entry.decode("utf-8", "surrogateescape") if isinstance(entry, bytes) else str(entry)


def _texts(item: h5py.Group | h5py.Dataset, name: str, error: Error) -> tuple[str, ...] | None:
    import h5py

    where = f"{item.name}: attribute '{name}'"
    with damage_as(error, where):
        if name not in item.attrs:
            return None
        stored = item.attrs.get_id(name)
        count, dtype = math.prod(stored.shape or ()), stored.dtype
    if count == 0:
        # An empty list, which h5py stores as one of numbers.
        return ()
    if count * dtype.itemsize > MAX_ATTRIBUTE:
        raise error(
            "An attribute is larger than any model needs.",
            where=where,
            expected=f"at most {MAX_ATTRIBUTE} bytes",
            found=f"{count * dtype.itemsize} bytes",
        )
    # Asked before the value is read: HDF5 itself crashes on damaged types of other kinds.
    if h5py.check_string_dtype(dtype) is None:
        raise error("An attribute is not text.", where=where, expected="text", found=str(dtype))
    with damage_as(error, where):
        value = item.attrs[name]
    return tuple(_text(entry) for entry in np.atleast_1d(np.asarray(value)).tolist())
