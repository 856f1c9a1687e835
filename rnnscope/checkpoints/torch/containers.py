"""The containers of PyTorch files: the zip archive, and the pickles and bytes of older files.

References
----------
torch/serialization.py: ``_save`` and ``_legacy_save``; caffe2/serialize/inline_container.h.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.torch.frozen_code import FrozenModules, find_frozen
from rnnscope.checkpoints.torch.pickle_data import read_pickle
from rnnscope.checkpoints.torch.pickled_values import PickledArray, PickledTensor, Storage
from rnnscope.checkpoints.torch.zip_members import MAPPED_BYTES, ZipMembers, damaged
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import AnyFile, InnerFile, map_file
from rnnscope.model.cell import Array

DTYPES = {
    "BFloat16Storage": "u2", "BoolStorage": "?", "ByteStorage": "u1", "CharStorage": "i1",
    "ComplexDoubleStorage": "c16", "ComplexFloatStorage": "c8", "DoubleStorage": "f8",
    "FloatStorage": "f4", "HalfStorage": "f2", "IntStorage": "i4", "LongStorage": "i8",
    "ShortStorage": "i2", "uint16": "u2", "uint32": "u4", "uint64": "u8",
}  # fmt: skip
"""Kinds of `PickledTensor` that are read; the others are quantised, or floats of eight bits."""

MAX_PICKLE = 256 * 2**20
MAX_CODE = 2**24
RNN_CALL = re.compile(rb"torch\.rnn_(tanh|relu)\(")

MAX_ELEMENTS = 1 << 24
"""A tensor with strides of zero can be larger than its storage."""

LEGACY_START = re.compile(
    rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL
)
"""A file of before torch 1.6 begins with a pickle of one number, in whichever protocol; from the
fourth on, pickles come in frames."""

LEGACY_START_BYTES = 24

PICKLE_START = re.compile(rb"\x80[\x02-\x05]")

LEGACY_PROTOCOL = 1001
SCRIPT_MEMBER = "constants.pkl"


def is_legacy(path: AnyFile) -> bool:
    """Whether a file begins as those of before torch 1.6."""
    with path.open("rb") as file:
        return LEGACY_START.match(file.read(LEGACY_START_BYTES)) is not None


@dataclass(frozen=True, eq=False)
class TorchFile:
    """A PyTorch file, opened as data.

    Attributes
    ----------
    value : object
        What was saved, as `pickle_data.read_pickle` gives it.
    load : callable
        ``load(tensor, where) -> ndarray`` of a `PickledTensor`.
    is_script : bool
        A TorchScript archive.
    nonlinearity : str
        What the code of such an archive calls for nn.RNN, ``"tanh"`` or ``"relu"``, if only one.
    constants : mapping of int to PickledTensor
        Tensors that its code names by number; they have a loader of their own.
    frozen : FrozenModules
        Which of them the code calls recurrent functions with.
    load_constant : callable or None
        ``load_constant(tensor, where) -> ndarray`` of these.
    """

    value: Any
    load: Callable[[PickledTensor, object], Array]
    is_script: bool = False
    nonlinearity: str = ""
    constants: Mapping[int, PickledTensor] = field(default_factory=dict)
    frozen: FrozenModules = field(default_factory=FrozenModules)
    load_constant: Callable[[PickledTensor, object], Array] | None = None


def read_zip(path: AnyFile) -> TorchFile:
    """Open a zip archive of ``torch.save`` or ``torch.jit.save``.

    Raises
    ------
    CheckpointError
        It is damaged, or its pickle is refused.
    """
    members = ZipMembers(path)
    found = [info.filename for info in members.infos() if _is_main(info.filename)]
    if len(found) != 1:
        raise damaged(path, "one member data.pkl", f"{len(found)} of that name")
    root = found[0].removesuffix("data.pkl")
    script = f"{root}{SCRIPT_MEMBER}" in members
    pickle = members.read(found[0], MAX_PICKLE)
    order = ">" if _byte_order(members, root) == b"big" else "<"
    code = _code(members, f"{root}code/") if script else b""
    nonlinearity = _nonlinearity(code)
    stored = members.read(f"{root}{SCRIPT_MEMBER}", MAX_PICKLE) if script else b""
    value = read_pickle(io.BytesIO(pickle), f"{path}: {found[0]}", script=script)
    constants = _constants(stored, f"{path}: {root}{SCRIPT_MEMBER}") if script else {}
    frozen = find_frozen(code.decode(errors="replace")) if constants else FrozenModules()
    load, load_constant = (
        partial(_from_zip, members, f"{root}{folder}/", order) for folder in ("data", "constants")
    )
    return TorchFile(value, load, script, nonlinearity, constants, frozen, load_constant)


def _constants(pickle: bytes, where: str) -> dict[int, PickledTensor]:
    """The tensors that the code of a TorchScript archive names by number."""
    held = read_pickle(io.BytesIO(pickle), where, script=True)
    found = held if isinstance(held, (tuple, list)) else ()
    return {number: one for number, one in enumerate(found) if isinstance(one, PickledTensor)}


def _is_main(name: str) -> bool:
    return name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)


def _byte_order(members: ZipMembers, root: str) -> bytes:
    name = f"{root}byteorder"
    return members.read(name, 16).strip() if name in members else b"little"


def _code(members: ZipMembers, folder: str) -> bytes:
    """The code of a TorchScript archive, which is text; none if there is too much of it."""
    parts: list[bytes] = []
    read = 0
    for info in members.infos():
        if info.filename.startswith(folder) and info.filename.endswith(".py"):
            read += info.file_size
            if read > MAX_CODE:
                return b""
            parts.append(members.read(info.filename, MAX_CODE))
    return b"\n".join(parts)


def _nonlinearity(code: bytes) -> str:
    """The one function of nn.RNN that the code of a TorchScript archive calls."""
    found = {*RNN_CALL.findall(code)}
    return found.pop().decode() if len(found) == 1 else ""


def _from_zip(
    members: ZipMembers, folder: str, order: str, tensor: PickledTensor, where: object
) -> Array:
    storage = tensor.storage
    data = storage.data
    if data is None:
        is_shared = math.prod(tensor.shape) < storage.count
        data = members.storage(folder + storage.key, storage.bytes, is_shared=is_shared)
    return _view(data, order, tensor, where)


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
    return _view(tensor.storage.data, "<", tensor, where)


def load_array(array: PickledArray, where: object) -> Array:
    """An array of numpy that lies in a pickle; half floats are widened.

    Raises
    ------
    CheckpointError
        Its dtype is none of numbers, or its bytes do not fit its shape.
    """
    dtype = array.dtype
    if dtype is None or re.fullmatch(r"[biufc]\d{1,2}", dtype.code) is None:
        code = "none" if dtype is None else dtype.code
        raise _unread_dtype(where, code)
    try:
        stored = np.dtype(dtype.code).newbyteorder(dtype.order if dtype.order in "<>" else "=")  # type: ignore[arg-type]
    except TypeError as error:
        raise _unread_dtype(where, dtype.code) from error
    try:
        flat = np.frombuffer(array.data, stored)
        values = flat.reshape(array.shape, order="F" if array.fortran else "C")
    except ValueError as error:
        found = f"{len(array.data)} bytes of {stored}"
        raise damaged(where, f"the values of shape {array.shape}", found) from error
    wide = np.float32 if stored == np.float16 else stored.newbyteorder("=")
    return np.ascontiguousarray(values.astype(wide)).reshape(array.shape)


def _unread_dtype(where: object, found: str) -> CheckpointError:
    return CheckpointError(
        "A stored tensor has a dtype that rnnscope does not read.",
        where=where,
        expected="floats of 16, 32 or 64 bits, or integers",
        found=found,
        hint="load it where it was made, and save it as float32",
    )


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
    return _view(data, order, tensor, where)


def _view(data: Any, order: str, tensor: PickledTensor, where: object) -> Array:
    storage = tensor.storage
    if len(data) != storage.bytes:
        raise damaged(where, f"a storage of {storage.bytes} bytes", f"{len(data)}")
    if math.prod(tensor.shape) > max(storage.count, MAX_ELEMENTS):
        raise damaged(where, f"at most {MAX_ELEMENTS} elements", f"shape {tensor.shape}")
    if tensor.kind not in DTYPES:
        raise _unread_dtype(where, tensor.kind)
    dtype = np.dtype(DTYPES[tensor.kind]).newbyteorder(order)  # type: ignore[arg-type]
    # An untyped storage may end with bytes that make no whole element.
    data = data[: len(data) // dtype.itemsize * dtype.itemsize]
    elements = np.frombuffer(data, dtype)[tensor.offset :]
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    values = np.lib.stride_tricks.as_strided(elements, tensor.shape, strides, writeable=False)
    if tensor.kind == "BFloat16Storage":
        # A bfloat16 is the upper half of the float32 of the same value.
        return np.ascontiguousarray((values.astype(np.uint32) << 16).view(np.float32))
    if tensor.kind == "HalfStorage":
        return values.astype(np.float32)
    if values.size == elements.size:
        return np.ascontiguousarray(values, dtype.newbyteorder("="))
    return np.array(values, dtype.newbyteorder("="), order="C")  # the rest need not be kept
