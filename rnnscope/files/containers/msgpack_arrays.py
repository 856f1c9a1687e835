"""Arrays in msgpack as ``flax.serialization`` writes them: maps of maps whose leaves are arrays.

References
----------
flax/serialization.py: extension type 1 is an array (shape, name of the dtype, bytes in C order, in
msgpack again), 3 a scalar in the same form, 2 a complex number; arrays above 1 GiB are cut into
``chunks`` of the flat array beside ``__msgpack_chunked_array__`` and ``shape``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import AnyFile, InnerFile, map_file
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.files.guarding.limits import check_time
from rnnscope.model.cell import Array

ARRAY, SCALAR = 1, 3
CHUNKED = "__msgpack_chunked_array__"
MAX_DEPTH = 100
MAX_AXES = 32
HEAD = 512
LARGE_BYTES = 2**20
"""Values from so many bytes on are left in the file."""

READ_BYTES = 4096
"""What is handed to the parser at a time."""

_LONG = {0xC6: ">I", 0xC9: ">Ib"}
"""Bytes and extensions with a length of four bytes: the length, and the extension's type."""

AnyBytes = bytes | memoryview
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
        return list(_arrays(_Cursor(data).value(), (), path))
    except (ValueError, TypeError, KeyError, OSError, OverflowError, RecursionError,
            msgpack.UnpackException) as error:  # fmt: skip
        raise _damaged(path, str(error)) from error


class _Extension(NamedTuple):
    """A value of an application's own type."""

    code: int
    data: AnyBytes


class _Cursor:
    """Reads values one after the other; large ones are views, whose bytes nobody has read.

    msgpack's own parser copies what it reads: the values of an array stand in an extension, in
    whose bytes they stand once more.
    """

    def __init__(self, data: AnyBytes, *, raw: bool = False) -> None:
        self._data, self._raw = memoryview(data), raw
        self._go_to(0)

    def _go_to(self, start: int) -> None:
        import msgpack  # only such files need it

        rest = InnerFile(Path(), "", self._data[start:]).open(buffering=0)
        self._start = start
        self._parser = msgpack.Unpacker(
            rest, raw=self._raw, strict_map_key=False, read_size=READ_BYTES,
            max_buffer_size=len(self._data) + READ_BYTES,
        )  # fmt: skip

    def value(self, depth: int = 0) -> Any:
        """The next value; extensions as `_Extension`."""
        at = self._start + self._parser.tell()
        if depth > MAX_DEPTH + 2 or at >= len(self._data):
            raise ValueError("values too deep within each other, or cut off")
        kind = self._data[at]
        if 0x80 <= kind <= 0x8F or kind in (0xDE, 0xDF):
            return {self._parser.unpack(): self.value(depth + 1)
                    for _ in range(self._parser.read_map_header())}  # fmt: skip
        if 0x90 <= kind <= 0x9F or kind in (0xDC, 0xDD):
            return [self.value(depth + 1) for _ in range(self._parser.read_array_header())]
        if kind in _LONG:
            head = struct.Struct(_LONG[kind])
            size, *code = head.unpack_from(self._data, at + 1)
            start = at + 1 + head.size
            if size > len(self._data) - start:
                raise ValueError(f"{size} bytes from byte {start} on, of {len(self._data)}")
            if size >= LARGE_BYTES:
                self._go_to(start + size)
                found = self._data[start : start + size]
                return _Extension(code[0], found) if code else found
        found = self._parser.unpack()
        is_extension = type(found).__name__ == "ExtType"
        return _Extension(found.code, found.data) if is_extension else found


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
    elif isinstance(tree, _Extension) and tree.code in (ARRAY, SCALAR):
        shape, dtype, data = _parts(tree.data)
        name = "/".join(folder)
        yield LoadableArray(name, shape, partial(_load, shape, dtype, data, f"{path}: {name}"))


def _parts(data: AnyBytes) -> tuple[tuple[int, ...], str, AnyBytes]:
    shape, name, values = _Cursor(data, raw=True).value()
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


def _load(shape: tuple[int, ...], dtype: str, data: AnyBytes, where: str) -> Array:
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
