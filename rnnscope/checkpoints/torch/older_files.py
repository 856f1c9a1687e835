"""Files of before torch 1.6, and plain pickles, which hold such files.

References
----------
torch/serialization.py: ``_legacy_save``.
"""

from __future__ import annotations

import io
import math
import re
import struct
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rnnscope.checkpoints.torch.opened_file import TorchFile
from rnnscope.checkpoints.torch.pickle_data import read_pickle
from rnnscope.checkpoints.torch.pickled_values import PickledTensor, Storage
from rnnscope.checkpoints.torch.stored_tensors import tensor_values
from rnnscope.checkpoints.torch.zip_members import MAPPED_BYTES, damaged
from rnnscope.files.archives.inner_file import AnyFile, InnerFile, map_file
from rnnscope.model.cell import Array

LEGACY_START = re.compile(
    rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL
)
"""A file of before torch 1.6 begins with a pickle of one number, in whichever protocol; from the
fourth on, pickles come in frames."""

LEGACY_START_BYTES = 24

PICKLE_START = re.compile(rb"\x80[\x02-\x05]")

LEGACY_PROTOCOL = 1001


def is_legacy(path: AnyFile) -> bool:
    """Whether a file begins as those of before torch 1.6."""
    with path.open("rb") as file:
        return LEGACY_START.match(file.read(LEGACY_START_BYTES)) is not None


def is_plain_pickle(path: AnyFile) -> bool:
    """Whether a file begins and ends as a pickle of protocol 2 or later does."""
    with path.open("rb") as file:
        head = file.read(2)
        if PICKLE_START.match(head) is None:
            return False
        file.seek(-1, io.SEEK_END)
        return file.read(1) == b"."


def read_plain_pickle(path: AnyFile) -> TorchFile:
    """Open what ``pickle.dump`` wrote: tensors lie in it as files of torch, arrays as bytes.

    Raises
    ------
    CheckpointError
        It is damaged, or refused.
    """
    with path.open("rb") as stream:
        load_bytes = partial(_storage_in_bytes, path)
        value = read_pickle(stream, path, load_bytes=load_bytes, content=map_file(path))
    return TorchFile(value, _from_bytes)


def _storage_in_bytes(path: AnyFile, data: bytes | memoryview) -> Any:
    """The storage that ``torch.storage._load_from_bytes`` would load."""
    if type(data) not in (bytes, memoryview) or LEGACY_START.match(data) is None:
        raise ValueError("a storage in bytes that are no file of torch")
    stream = InnerFile(path if isinstance(path, Path) else path.outer, "a storage", data).open()
    value, places, _ = _legacy_parts(stream, len(data), data, path)
    if type(value) is not Storage or value.key not in places:
        raise ValueError("bytes of torch that hold no storage")
    start = places[value.key]
    return replace(value, data=data[start : start + value.bytes])


def _from_bytes(tensor: PickledTensor, where: object) -> Array:
    if tensor.storage.data is None:
        raise damaged(where, "a storage inside the pickle", "none")
    return tensor_values(tensor.storage.data, "<", tensor, where)


def read_legacy(path: AnyFile) -> TorchFile:
    """Open a file of before torch 1.6: four pickles, a list of keys, and the storages' bytes.

    Raises
    ------
    CheckpointError
        It is damaged, or a pickle is refused.
    """
    data = map_file(path)
    with path.open("rb") as stream:
        value, places, order = _legacy_parts(stream, len(data), data, path)
    return TorchFile(value, partial(_from_legacy, path, places, order))


def _legacy_parts(
    stream: Any, size: int, data: Any, path: AnyFile
) -> tuple[Any, dict[str, int], str]:
    """What was saved, where each storage's bytes lie, and their byte order."""
    storages: dict[str, Storage] = {}
    _, protocol, system, value = (read_pickle(stream, path, storages=storages) for _ in range(4))
    keys = read_pickle(stream, path)
    if protocol != LEGACY_PROTOCOL or type(keys) is not list or type(system) is not dict:
        raise damaged(path, f"protocol {LEGACY_PROTOCOL} and a list of storages", str(protocol))
    order = "<" if system.get("little_endian", True) else ">"
    found = [storages.get(str(key)) for key in keys]
    return value, _places(data, size, stream.tell(), found, path), order


def _places(
    data: Any, size: int, start: int, storages: list[Storage | None], path: AnyFile
) -> dict[str, int]:
    """Where each storage's bytes lie: behind its number of elements, one after the other."""
    places: dict[str, int] = {}
    for storage in storages:
        if storage is None:
            raise damaged(path, "storages that the pickle names", "the key of another")
        stop = start + 8 + storage.bytes
        if stop > size:
            raise damaged(path, f"bytes up to {stop}", f"a file of {size}")
        (count,) = struct.unpack_from("<q", data, start)
        if count != storage.count:
            raise damaged(path, f"a storage of {storage.count} elements", str(count))
        places[storage.key] = start + 8
        start = stop
    return places


def _from_legacy(
    path: AnyFile, places: dict[str, int], order: str, tensor: PickledTensor, where: object
) -> Array:
    if tensor.storage.key not in places:
        raise damaged(where, "a storage of the file", f"the key {tensor.storage.key}")
    with path.open("rb") as file:
        if tensor.storage.bytes >= MAPPED_BYTES or math.prod(tensor.shape) < tensor.storage.count:
            start = places[tensor.storage.key]
            data: Any = map_file(path)[start : start + tensor.storage.bytes]
        else:
            file.seek(places[tensor.storage.key])
            data = file.read(tensor.storage.bytes)
    return tensor_values(data, order, tensor, where)
