"""Writing arrays by name as a ``.pt`` file: what ``torch.load(path, weights_only=True)`` reads.

References
----------
torch/serialization.py, ``_save``: a zip archive of stored members, ``data.pkl`` with the object,
``data/KEY`` with the bytes of each storage. torch/_utils.py, ``_rebuild_tensor_v2(storage, offset,
size, stride, requires_grad, backward_hooks)``. Python's pickletools for the opcodes of protocol 2.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import numpy as np

from rnnscope.errors import OptionError
from rnnscope.files.arrays.array_views import blocks
from rnnscope.files.arrays.stored_array import StoredArray

STORAGES = {
    "float64": "DoubleStorage", "float32": "FloatStorage", "float16": "HalfStorage",
    "int64": "LongStorage", "int32": "IntStorage", "int16": "ShortStorage", "int8": "CharStorage",
    "uint8": "ByteStorage", "bool": "BoolStorage",
}  # fmt: skip
"""Classes of torch by numpy's dtype."""

ROOT = "archive"
ALIGNMENT = 64
"""Where torch lets the bytes of a storage begin, so that it can map them."""

DATE = (1980, 1, 1, 0, 0, 0)
"""A date, so that the same states make the same bytes."""

PROTO, STOP, MARK, TUPLE, EMPTY_DICT, SET_ITEMS = b"\x80\x02", b".", b"(", b"t", b"}", b"u"
REDUCE, PERSISTENT, FALSE, EMPTY_TUPLE = b"R", b"Q", b"\x89", b")"


def write_torch(path: Path, arrays: Mapping[str, StoredArray]) -> None:
    """Write a dict of tensors, a block of each at a time.

    Raises
    ------
    OptionError
        torch has no type for an array's dtype.
    """
    for name, array in arrays.items():
        if str(array.dtype) not in STORAGES:
            raise OptionError(
                "A .pt file cannot hold this array.",
                where=name,
                expected=", ".join(STORAGES),
                found=array.dtype,
            )
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED, allowZip64=True) as archive:
        _write_member(archive, "data.pkl", [_pickled(arrays)])
        _write_member(archive, "byteorder", [b"little"])
        for number, array in enumerate(arrays.values()):
            little = array.dtype.newbyteorder("<")
            parts = (
                (
                    array.read(key).astype(little, copy=False).tobytes()
                    for key in blocks(array.shape or (1,), array.dtype.itemsize)
                )
                if array.shape
                else iter([np.asarray(array.read()).astype(little).tobytes()])
            )
            _write_member(archive, f"data/{number}", parts)
        _write_member(archive, "version", [b"3\n"])


def _write_member(archive: zipfile.ZipFile, name: str, parts: Iterable[bytes]) -> None:
    info = zipfile.ZipInfo(f"{ROOT}/{name}", DATE)
    assert archive.fp is not None, "it is open"
    # zipfile adds twenty bytes of its own for sizes of 64 bits, and four are the field's own head.
    start = archive.fp.tell() + 30 + len(info.filename) + 20 + 4
    info.extra = struct.pack("<2sH", b"FB", -start % ALIGNMENT) + b"Z" * (-start % ALIGNMENT)
    with archive.open(info, "w", force_zip64=True) as member:
        for part in parts:
            member.write(part)


def _pickled(arrays: Mapping[str, StoredArray]) -> bytes:
    items = b"".join(
        _text(name) + _tensor(number, array) for number, (name, array) in enumerate(arrays.items())
    )
    return PROTO + EMPTY_DICT + MARK + items + SET_ITEMS + STOP


def _tensor(number: int, array: StoredArray) -> bytes:
    shape = tuple(int(size) for size in array.shape)
    strides = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
    storage = _class("torch", STORAGES[str(array.dtype)])
    identity = _tuple(
        _text("storage"), storage, _text(str(number)), _text("cpu"), _integer(prod(shape))
    )
    no_hooks = _class("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE
    arguments = _tuple(
        identity + PERSISTENT,
        _integer(0),
        _tuple(*map(_integer, shape)),
        _tuple(*map(_integer, strides)),
        FALSE,
        no_hooks,
    )
    return _class("torch._utils", "_rebuild_tensor_v2") + arguments + REDUCE


def _tuple(*items: bytes) -> bytes:
    return MARK + b"".join(items) + TUPLE


def _class(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode("ascii")


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(value: int) -> bytes:
    if value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)
