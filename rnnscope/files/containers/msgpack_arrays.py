"""Arrays in msgpack as ``flax.serialization`` writes them: maps of maps whose leaves are arrays.

References
----------
flax/serialization.py: extension type 1 is an array (shape, name of the dtype, bytes in C order, in
msgpack again), 3 a scalar in the same form, 2 a complex number; arrays above 1 GiB are cut into
``chunks`` of the flat array beside ``__msgpack_chunked_array__`` and ``shape``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import AnyFile, map_file
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.files.guarding.limits import check_time
from rnnscope.model.cell import Array

ARRAY, SCALAR = 1, 3
CHUNKED = "__msgpack_chunked_array__"
MAX_DEPTH = 100
MAX_AXES = 32
HEAD = 512
DTYPES = frozenset(
    {"float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8",
     "uint16", "uint32", "uint64", "bool"}
)  # fmt: skip


def looks_like_msgpack(path: AnyFile) -> bool:
    """Whether a file begins with a map whose first key is a word. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return begins_as_map(head)


def begins_as_map(head: bytes) -> bool:
    """Whether bytes are the beginning of a map whose first key is a word."""
    if not head:
        return False
    if 0x81 <= head[0] <= 0x8F:
        at = 1
    elif head[0] in (0xDE, 0xDF):
        at = 3 if head[0] == 0xDE else 5
    else:
        return False
    kind = head[at : at + 1]
    if b"\xa1" <= kind <= b"\xbf":
        key = head[at + 1 : at + 1 + kind[0] - 0xA0]
    elif kind == b"\xd9" and len(head) > at + 1:
        key = head[at + 2 : at + 2 + head[at + 1]]
    else:
        return False
    try:
        return key.decode().isprintable() and bool(key)
    except UnicodeDecodeError:
        return False


def read_msgpack_arrays(path: AnyFile) -> list[LoadableArray]:
    """The arrays of a file, named by their keys with slashes between.

    Raises
    ------
    CheckpointError
        It is damaged.
    """
    import msgpack  # only such files need it

    try:
        data = map_file(path)
        tree = msgpack.unpackb(data, raw=False, strict_map_key=False, max_ext_len=len(data))
        return list(_arrays(tree, (), path))
    except (ValueError, TypeError, KeyError, OSError, OverflowError, RecursionError,
            msgpack.UnpackException) as error:  # fmt: skip
        raise _damaged(path, str(error)) from error


def _arrays(tree: Any, folder: tuple[str, ...], path: AnyFile) -> Iterator[LoadableArray]:
    check_time(path, CheckpointError)
    if len(folder) > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} maps inside each other")
    if isinstance(tree, dict) and CHUNKED in tree:
        yield _chunked(tree, "/".join(folder), path)
    elif isinstance(tree, (dict, list)):
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, child in pairs:
            name = key.decode(errors="replace") if isinstance(key, bytes) else str(key)
            yield from _arrays(child, (*folder, name), path)
    elif type(tree).__name__ == "ExtType" and tree.code in (ARRAY, SCALAR):
        shape, dtype, data = _parts(tree.data)
        name = "/".join(folder)
        yield LoadableArray(name, shape, partial(_load, shape, dtype, data, f"{path}: {name}"))


def _parts(data: bytes) -> tuple[tuple[int, ...], str, bytes]:
    import msgpack  # as above

    shape, name, values = msgpack.unpackb(data, raw=True, max_bin_len=len(data))
    dtype = name.decode() if isinstance(name, bytes) else str(name)
    sizes = tuple(shape)
    if len(sizes) > MAX_AXES or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"an array of shape {sizes}")
    if dtype in DTYPES and prod(sizes) * _stored(dtype).itemsize != len(values):
        raise ValueError(f"an array of {dtype} and shape {sizes} in {len(values)} bytes")
    return sizes, dtype, values


def _chunked(tree: dict[str, Any], name: str, path: AnyFile) -> LoadableArray:
    shape, chunks = _listed(tree["shape"]), _listed(tree["chunks"])
    sizes = tuple(int(size) for size in shape)
    parts = [_parts(chunk.data) for chunk in chunks]
    if prod(sizes) != sum(prod(part[0]) for part in parts):
        raise ValueError(f"'{name}' of shape {sizes} in chunks that do not fit it")

    def load() -> Array:
        loaded = [_load((prod(one),), dtype, data, f"{path}: {name}") for one, dtype, data in parts]
        return np.concatenate(loaded).reshape(sizes)

    return LoadableArray(name, sizes, load)


def _listed(numbered: dict[str, Any]) -> list[Any]:
    return [numbered[str(number)] for number in range(len(numbered))]


def _stored(dtype: str) -> np.dtype[Any]:
    stored: np.dtype[Any] = np.dtype("<u2" if dtype == "bfloat16" else dtype).newbyteorder("<")
    return stored


def _load(shape: tuple[int, ...], dtype: str, data: bytes, where: str) -> Array:
    if dtype not in DTYPES:
        raise CheckpointError(
            "A stored array has a dtype that rnnscope does not read.",
            where=where,
            expected="floats of 16, 32 or 64 bits, or integers",
            found=dtype,
        )
    values = np.frombuffer(data, _stored(dtype)).reshape(shape)
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32 if dtype == "float16" else dtype)


def _damaged(path: AnyFile | Path, found: str) -> CheckpointError:
    return CheckpointError(
        "The msgpack file is truncated or damaged.",
        where=path,
        expected="a tree of arrays as flax.serialization writes it",
        found=found[:200] or "bytes that are none",
        hint="copy or download the file again, and compare its size with the original",
    )
