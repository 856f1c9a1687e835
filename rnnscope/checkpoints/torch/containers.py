"""The containers of PyTorch files: the zip archive, and the pickles and bytes of older files.

References
----------
torch/serialization.py: ``_save`` and ``_legacy_save``; caffe2/serialize/inline_container.h.
"""

from __future__ import annotations

import io
import math
import mmap
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.torch.pickle_data import PickledTensor, Storage, read_pickle
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import Array

DTYPES = {
    "BFloat16Storage": "u2", "BoolStorage": "?", "ByteStorage": "u1", "CharStorage": "i1",
    "ComplexDoubleStorage": "c16", "ComplexFloatStorage": "c8", "DoubleStorage": "f8",
    "FloatStorage": "f4", "HalfStorage": "f2", "IntStorage": "i4", "LongStorage": "i8",
    "ShortStorage": "i2",
}  # fmt: skip

MAX_PICKLE = 256 * 2**20
MAX_ELEMENTS = 1 << 30
"""A tensor with strides of zero can be larger than its storage."""

LEGACY_START = re.compile(
    rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL
)
"""A file of before torch 1.6 begins with a pickle of one number, in whichever protocol; from the
fourth on, pickles come in frames."""

LEGACY_START_BYTES = 24

LEGACY_PROTOCOL = 1001
SCRIPT_MEMBER = "constants.pkl"


def is_legacy(path: Path) -> bool:
    """Whether a file begins as those of before torch 1.6."""
    with path.open("rb") as file:
        return LEGACY_START.match(file.read(LEGACY_START_BYTES)) is not None


@dataclass(frozen=True, eq=False)
class TorchFile:
    """A PyTorch file, opened as data.

    Attributes
    ----------
    value : object
        What was saved, as `torch_pickle.read_pickle` gives it.
    load : callable
        ``load(tensor, where) -> ndarray``.
    is_script : bool
        A TorchScript archive.
    """

    value: Any
    load: Callable[[PickledTensor, object], Array]
    is_script: bool = False


def read_zip(path: Path) -> TorchFile:
    """Open a zip archive of ``torch.save`` or ``torch.jit.save``.

    Raises
    ------
    CheckpointError
        It is damaged, or its pickle is refused.
    """
    with _archive(path) as archive:
        found = [name for name in archive.namelist() if _is_main(name)]
        if len(found) != 1:
            raise damaged(path, "one member data.pkl", f"{len(found)} of that name")
        root = found[0].removesuffix("data.pkl")
        script = f"{root}{SCRIPT_MEMBER}" in archive.namelist()
        pickle = _member(archive, found[0], MAX_PICKLE, path)
        order = ">" if _byte_order(archive, root, path) == b"big" else "<"
    value = read_pickle(io.BytesIO(pickle), f"{path}: {found[0]}", script=script)
    return TorchFile(value, partial(_from_zip, path, f"{root}data/", order), script)


def _is_main(name: str) -> bool:
    return name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise damaged(path, "a complete zip file", str(error)[:200]) from error


def _member(archive: zipfile.ZipFile, name: str, cap: int, where: object) -> bytes:
    """A member's bytes, after its claims are checked."""
    entries = [info for info in archive.infolist() if info.filename == name]
    if len(entries) != 1:
        raise damaged(where, f"one member '{name}'", f"{len(entries)}")
    (info,) = entries
    # torch never compresses; what is compressed all the same cannot have grown more than deflate.
    if info.file_size > min(cap, 1032 * max(info.compress_size, 1)):
        raise damaged(f"{where}: {name}", f"at most {cap} bytes", f"{info.file_size}")
    with archive.open(info) as member:
        return member.read(info.file_size)


def _byte_order(archive: zipfile.ZipFile, root: str, path: Path) -> bytes:
    name = f"{root}byteorder"
    return _member(archive, name, 16, path).strip() if name in archive.namelist() else b"little"


def _from_zip(path: Path, folder: str, order: str, tensor: PickledTensor, where: object) -> Array:
    size = _bytes_of(tensor.storage)
    with _archive(path) as archive:
        data = _member(archive, folder + tensor.storage.key, size, path)
    return _view(data, order, tensor, where)


def read_legacy(path: Path) -> TorchFile:
    """Open a file of before torch 1.6: four pickles, a list of keys, and the storages' bytes.

    Raises
    ------
    CheckpointError
        It is damaged, or a pickle is refused.
    """
    storages: dict[str, Storage] = {}
    # Mapped, so that reading pickles at its front does not read the weights behind them.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        stream: Any = data
        _, protocol, system, value = (
            read_pickle(stream, path, storages=storages) for _ in range(4)
        )
        keys = read_pickle(stream, path)
        if protocol != LEGACY_PROTOCOL or type(keys) is not list or type(system) is not dict:
            raise damaged(path, f"protocol {LEGACY_PROTOCOL} and a list of storages", str(protocol))
        order = "<" if system.get("little_endian", True) else ">"
        places = _places(data, data.tell(), [storages.get(str(key)) for key in keys], path)
    return TorchFile(value, partial(_from_legacy, path, places, order))


def _places(
    data: mmap.mmap, start: int, storages: list[Storage | None], path: Path
) -> dict[str, int]:
    """Where each storage's bytes lie: behind its number of elements, one after the other."""
    places: dict[str, int] = {}
    for storage in storages:
        if storage is None:
            raise damaged(path, "storages that the pickle names", "the key of another")
        stop = start + 8 + _bytes_of(storage)
        if stop > len(data):
            raise damaged(path, f"bytes up to {stop}", f"a file of {len(data)}")
        (count,) = struct.unpack_from("<q", data, start)
        if count != storage.count:
            raise damaged(path, f"a storage of {storage.count} elements", str(count))
        places[storage.key] = start + 8
        start = stop
    return places


def _from_legacy(
    path: Path, places: dict[str, int], order: str, tensor: PickledTensor, where: object
) -> Array:
    if tensor.storage.key not in places:
        raise damaged(where, "a storage of the file", f"the key {tensor.storage.key}")
    with path.open("rb") as file:
        file.seek(places[tensor.storage.key])
        data = file.read(_bytes_of(tensor.storage))
    return _view(data, order, tensor, where)


def _bytes_of(storage: Storage) -> int:
    return storage.count * np.dtype(DTYPES[storage.kind]).itemsize


def _view(data: bytes, order: str, tensor: PickledTensor, where: object) -> Array:
    storage = tensor.storage
    if len(data) != _bytes_of(storage):
        raise damaged(where, f"a storage of {_bytes_of(storage)} bytes", f"{len(data)}")
    if math.prod(tensor.shape) > max(storage.count, MAX_ELEMENTS):
        raise damaged(where, f"at most {MAX_ELEMENTS} elements", f"shape {tensor.shape}")
    dtype = np.dtype(DTYPES[storage.kind]).newbyteorder(order)  # type: ignore[arg-type]
    elements = np.frombuffer(data, dtype)[tensor.offset :]
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    values = np.lib.stride_tricks.as_strided(elements, tensor.shape, strides, writeable=False)
    if storage.kind == "BFloat16Storage":
        # A bfloat16 is the upper half of the float32 of the same value.
        return np.ascontiguousarray((values.astype(np.uint32) << 16).view(np.float32))
    if storage.kind == "HalfStorage":
        return values.astype(np.float32)
    return np.ascontiguousarray(values.astype(dtype.newbyteorder("=")))


def damaged(where: object, expected: str, found: str) -> CheckpointError:
    """The error for a file whose parts do not fit."""
    return CheckpointError(
        "The PyTorch file is truncated or damaged.",
        where=where,
        expected=expected,
        found=found,
        hint="copy or download the file again, and compare its size with the original",
    )
