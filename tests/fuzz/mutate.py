"""Copies of files with something wrong in them that a parser meets only behind its first check.

Bytes turned at random mostly break a checksum or a length, and the reader stops there. So a file is
taken apart as what it is (zip, HDF5, a protocol message, a pickle, a table, JSON, TOML, .npy), one
or two things in it are changed, and it is put together again with lengths and checksums right.
"""

from __future__ import annotations

import io
import json
import pickletools
import struct
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import tomllib

from rnnscope.files.tensorflow.table import FOOTER_SIZE, MAGIC, masked_crc32c, read_table

HDF5 = b"\x89HDF\r\n\x1a\n"
NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    127,
    255,
    256,
    65535,
    2**31 - 1,
    2**31,
    -(2**31),
    2**32,
    2**40,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
WORDS = (
    "",
    "x",
    "a" * 300,
    "😀",
    "\x00",
    "\x1b[31m",
    "..",
    "../up",
    "/etc/passwd",
    "**x",
    "name:garbage",
    "^name",
    "1e999",
    "nan",
    "float99",
    "linear",
    "lstm",
    "{stem}",
    "a/b/c",
    "a.b.c",
    "None",
    "[]",
    "é",
    "true",
)


def deep(levels: int) -> list[Any]:
    """A list in a list in a list, and so on."""
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def values(rng: Random) -> Any:
    """Something that was not expected there."""
    return rng.choice(
        [
            None,
            True,
            False,
            0.5,
            -1.5,
            1e308,
            float("inf"),
            float("nan"),
            [],
            {},
            [[]],
            [None],
            {"a": 1},
            [1, "a", None],
            {"class_name": "LSTM", "config": {}},
            deep(rng.choice([3, 200, 2000])),
        ]
        + [rng.choice(NUMBERS)] * 6
        + [rng.choice(WORDS)] * 6
    )


def mutated(name: str, content: bytes, rng: Random, depth: int = 0) -> bytes:
    """The content with one to three changes; `name` helps where content alone does not tell."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        way = _way(name, content)
        if way is None or rng.random() < 0.2:
            content = _bytes(content, rng)
            continue
        try:
            content = way(content, rng, depth)
        except Exception:  # noqa: BLE001 - what was changed before can no longer be taken apart
            content = _bytes(content, rng)
    return content


def _way(name: str, content: bytes) -> Any:
    if content[:8] == HDF5:
        return _hdf5
    if content[:4] == b"PK\x03\x04":
        return _zip
    if content[:6] == b"\x93NUMPY":
        return _npy
    if content[-8:] == MAGIC:
        return _table
    if content[8:9] == b"{" and len(content) > 8:
        return _safetensors
    if name.endswith(".toml"):
        return _toml
    if content[:1] == b"\x80" or name.endswith((".pkl", "data.pkl")):
        return _pickle
    if content[:1] in (b"{", b"[") and name.endswith(".json"):
        return _json
    if name.endswith((".pb", ".meta", ".onnx")):
        return _message
    if name.endswith((".csv", ".yml", ".dict", ".txt", "checkpoint")):
        return _text
    return None


def _bytes(content: bytes, rng: Random, _: int = 0) -> bytes:
    data = bytearray(content)
    way = rng.randrange(8)
    at = rng.randrange(len(data) + 1)
    if way == 0:
        return bytes(data[:at])
    if way == 1 and data:
        del data[at : at + rng.choice([1, 2, 4, 8, 100])]
    elif way == 2:
        data[at:at] = rng.randbytes(rng.choice([1, 2, 4, 8, 100]))
    elif way == 3:
        data[at:at] = data[rng.randrange(len(data) + 1) :][: rng.choice([4, 64, 512])]
    elif way == 4:
        data[at : at + 8] = struct.pack("<Q", rng.choice(NUMBERS) & (2**64 - 1))
    elif way == 5:
        data[at : at + 4] = struct.pack("<I", rng.choice(NUMBERS) & (2**32 - 1))
    else:
        for _time in range(rng.choice([1, 1, 2, 8, 40])):
            if data:
                data[rng.randrange(len(data))] = rng.choice(
                    [0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)]
                )
    return bytes(data)


def _text(content: bytes, rng: Random, _: int) -> bytes:
    parts = content.split(rng.choice([b" ", b",", b"\n", b'"', b":"]))
    at = rng.randrange(len(parts))
    parts[at] = rng.choice(
        [str(rng.choice(NUMBERS)), rng.choice(WORDS), "'" * 50, "[" * 2000, "\n"]
    ).encode()
    return rng.choice([b" ", b",", b"\n", b'"', b":"]).join(parts)


# Trees, as JSON and TOML hold them.


def _places(tree: Any, limit: int = 5000) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting and len(found) < limit:
        item = waiting.pop()
        keys: Any = item.keys() if isinstance(item, dict) else range(len(item))
        for key in keys:
            found.append((item, key))
            if isinstance(item[key], (dict, list)):
                waiting.append(item[key])
    return found


def changed_tree(tree: Any, rng: Random) -> Any:
    """The tree with one value replaced, left out, moved or wrapped."""
    places = _places(tree)
    if not places:
        return values(rng)
    holder, key = rng.choice(places)
    way = rng.randrange(10)
    if way < 2:
        del holder[key]
    elif way == 2:
        holder[key] = [holder[key]]
    elif way == 3:
        other, at = rng.choice(places)
        with suppress(KeyError, IndexError):
            holder[key] = json.loads(json.dumps(other[at]))
    elif way == 4 and isinstance(holder, dict):
        holder[rng.choice(WORDS)] = holder.pop(key)
    elif way == 5 and isinstance(holder, list):
        holder += [holder[key]] * rng.choice([1, 2, 50])
    elif way == 6 and isinstance(holder[key], str):
        holder[key] = rng.choice(
            [holder[key] + rng.choice(WORDS), holder[key][:-1], rng.choice(WORDS)]
        )
    else:
        holder[key] = values(rng)
    return tree


def _json(content: bytes, rng: Random, _: int) -> bytes:
    return json.dumps(changed_tree(json.loads(content), rng)).encode()


def _toml(content: bytes, rng: Random, _: int) -> bytes:
    if rng.random() < 0.1:
        return content + b"\n" + b".".join([b"a"] * rng.choice([10, 3000])) + b" = 1\n"
    tree = changed_tree(tomllib.loads(content.decode()), rng)
    return "\n".join(
        f"{json.dumps(key)} = {_toml_value(item)}" for key, item in tree.items()
    ).encode()


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(key)} = {_toml_value(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if value is None:
        return '"none"'
    return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")


# Containers.


def _zip(content: bytes, rng: Random, depth: int) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = rng.randrange(len(members))
    name, inner = members[at]
    way = rng.randrange(12)
    if way == 0:
        members.pop(at)
    elif way == 1:
        members.append((name, inner))
    elif way == 2:
        members[at] = (
            rng.choice(["", "../up.npy", "/abs.npy", name + "/x", name.upper(), "x.npy"]),
            inner,
        )
    elif way == 3:
        members[at] = (name, members[rng.randrange(len(members))][1])
    else:
        # The small members that describe the others are worth more than weights.
        at = min(
            rng.sample(range(len(members)), min(2, len(members))), key=lambda i: len(members[i][1])
        )
        name, inner = members[at]
        members[at] = (name, mutated(name, inner, rng, depth + 1))
    out = io.BytesIO()
    how = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, inner in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), inner, how)
    return out.getvalue()


def _safetensors(content: bytes, rng: Random, _: int) -> bytes:
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    text = json.dumps(changed_tree(header, rng)).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


DESCRIPTIONS = (
    "'|O'",
    "'>f8'",
    "'<f2'",
    "'|V4'",
    "'<U5'",
    "'<M8[s]'",
    "'<c8'",
    "'|b1'",
    "'<f16'",
    "'|S3'",
    "'<i8'",
    "'<u2'",
    "[('f0', '<f4'), ('f1', '<f4')]",
    "('<f4', (3,))",
    "'<f4,<f4'",
    "7",
    "None",
    "'float99'",
    "'",
    "[[[",
    "'|V0'",
    "'<U0'",
)
SHAPES = (
    "()",
    "(0,)",
    "(-1,)",
    "(1000000, 1000000)",
    "(10000, 1000, 1000)",
    "(2, 0, 3)",
    "(3)",
    "('a',)",
    "(1.5, 2)",
    "(True,)",
    "(99999999999999999999,)",
    "[2, 3]",
    "None",
    "(1,)*9",
    "(2, 6, 3",
    "(1,1,1,1,1,1)",
)


def _npy(content: bytes, rng: Random, _: int) -> bytes:
    (size,) = struct.unpack("<H", content[8:10])
    text, data = content[10 : 10 + size].decode("latin-1"), content[10 + size :]
    array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    descr, shape = repr(np.lib.format.dtype_to_descr(array.dtype)), repr(array.shape)
    way = rng.randrange(7)
    if way == 0:
        descr = rng.choice(DESCRIPTIONS)
    elif way == 1:
        shape = rng.choice(SHAPES)
    elif way == 2:
        data = data[: rng.randrange(len(data) + 1)]
    elif way == 3:
        return content[:6] + bytes([rng.choice([0, 1, 2, 3, 9]), 0]) + content[8:]
    elif way == 4:
        made = io.BytesIO()
        shapes = [
            array.ravel(),
            array[None],
            array[:0],
            array.T,
            array.astype("f2"),
            array.astype("i4"),
            array.astype("U4"),
            array.astype("c8"),
            array[..., None],
            np.array(1.5),
            np.array(["a"]),
            np.full(array.shape, np.nan),
        ]
        np.save(made, rng.choice(shapes))
        return made.getvalue()
    order = rng.choice(["False", "False", "True", "1", "x"])
    head = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    if way == 5:
        cut = rng.randrange(len(text))
        head = (
            text[:cut]
            + rng.choice(["(", "'", "[", "\n", "\x00", "é", "{", "0" * 50])
            + text[cut + 1 :]
        )
    head = head.ljust(size - 1) + "\n"
    return content[:8] + struct.pack("<H", len(head)) + head.encode("latin-1") + data


# HDF5.


def _odd_dataset(dataset: h5py.Dataset, rng: Random) -> Any:
    array = np.zeros((), "f4") if dataset.shape is None else dataset[()]
    array = np.asarray(array)
    odd = [
        1,
        "text",
        h5py.Empty("f4"),
        np.zeros(0),
        np.zeros((0, 3)),
        np.arange(3),
        array.ravel(),
        array[None],
        array.T,
        array[..., None],
        np.array([(1, 2)], "i4,f4"),
        np.array([1j]),
        np.array(["a", "b"], "S3"),
        np.zeros((2, 2, 2, 2)),
    ]
    if array.dtype.kind in "fiub":
        odd += [array.astype(kind) for kind in ("f2", "f8", "i8", "?", "c8")] + [
            array * np.nan,
            array * 1e300,
        ]
        if array.ndim:
            odd += [array[:-1], np.concatenate([array, array])]
    return rng.choice(odd)


def _odd_attribute(value: Any, rng: Random) -> Any:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str) and value[:1] in "{[" and rng.random() < 0.9:
        return json.dumps(changed_tree(json.loads(value), rng))
    odd = [
        rng.choice(WORDS).replace("\x00", ""),
        rng.choice([n for n in NUMBERS if n < 2**63]),
        0.5,
        np.nan,
        h5py.Empty("f4"),
        np.zeros(0),
        np.arange(3),
        np.array(["a", "b"], "S3"),
        np.array(b"\xff\xfe"),
        np.array([(1, 2)], "i4,f4"),
        True,
    ]
    if isinstance(value, np.ndarray) and value.size:
        odd += [value[:-1], np.concatenate([value, value]), value[::-1].copy()] * 3
    return rng.choice(odd)


def _hdf5(content: bytes, rng: Random, _: int) -> bytes:
    if rng.random() < 0.1:
        return _bytes(content, rng)
    with tempfile.NamedTemporaryFile(suffix=".h5") as made:
        made.write(content)
        made.flush()
        with h5py.File(made.name, "r+") as file:
            _change_hdf5(file, rng)
        return Path(made.name).read_bytes()


def _change_hdf5(file: h5py.File, rng: Random) -> None:
    names: list[str] = []
    file.visit(names.append)
    names.sort()
    if rng.random() < 0.4 or not names:
        holders = [item for item in (file, *(file[name] for name in names)) if len(item.attrs)]
        if holders:
            item = rng.choice(holders)
            key = rng.choice(sorted(item.attrs))
            value = item.attrs[key]
            del item.attrs[key]
            if rng.random() < 0.8:
                item.attrs[key] = _odd_attribute(value, rng)
            return
    name = rng.choice(names)
    item = file[name]
    parent, leaf = item.parent, name.rpartition("/")[2]
    way = rng.randrange(10)
    if way < 5 and isinstance(item, h5py.Dataset):
        odd, kept = _odd_dataset(item, rng), dict(item.attrs)
        del parent[leaf]
        made = parent.create_dataset(leaf, data=odd)
        for key, value in kept.items():
            if "REF" not in key and "DIM" not in key:
                made.attrs[key] = value
        return
    if way == 5:
        file.move(
            name,
            f"{parent.name.rstrip('/')}/{rng.choice(['zz', 'c', 'm', 'outputs', 'lstm', '0'])}_",
        )
        return
    other = file[rng.choice(names)]
    del parent[leaf]
    if way == 6:
        parent[leaf] = h5py.SoftLink("/" + rng.choice(names))
    elif way == 7:
        parent[leaf] = h5py.ExternalLink("victim.h5", "/secret")
    elif way == 8:
        parent[leaf] = rng.choice([other, parent])
    elif way == 9:
        parent.create_group(leaf)


# Protocol messages by their wire format, whatever they mean.


def _varint(value: int) -> bytes:
    out = bytearray()
    value &= 2**64 - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _fields(data: bytes) -> list[tuple[int, int, Any]] | None:
    """(number, wire type, value) each; None if it is no message."""
    found: list[tuple[int, int, Any]] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _read_varint(data, at)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 20000:
                return None
            if wire == 0:
                value: Any
                value, at = _read_varint(data, at)
            elif wire == 2:
                size, at = _read_varint(data, at)
                value, at = data[at : at + size], at + size
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
                value, at = data[at : at + size], at + size
            else:
                return None
            if at > len(data):
                return None
            found.append((number, wire, value))
    except IndexError:
        return None
    return found


def _written(fields: list[tuple[int, int, Any]]) -> bytes:
    out = bytearray()
    for number, wire, value in fields:
        out += _varint(number << 3 | wire)
        if wire == 0:
            out += _varint(value)
        elif wire == 2:
            out += _varint(len(value)) + value
        else:
            out += value
    return bytes(out)


def _message(content: bytes, rng: Random, depth: int) -> bytes:
    fields = _fields(content)
    if not fields:
        return _odd_string(content, rng)
    at = rng.randrange(len(fields))
    number, wire, value = fields[at]
    if wire == 2 and rng.random() < 0.85 and depth < 12 and _fields(value):
        fields[at] = (number, wire, _message(value, rng, depth + 1))
        return _written(fields)
    way = rng.randrange(8)
    if way == 0:
        fields.pop(at)
    elif way == 1:
        fields.insert(rng.randrange(len(fields)), fields[at])
    elif way == 2:
        other = fields[rng.randrange(len(fields))]
        fields[at] = (number, other[1], other[2])
    elif way == 3:
        fields = [field for field in fields if field[0] != number]
    elif wire == 0:
        fields[at] = (number, 0, rng.choice(NUMBERS) if rng.random() < 0.7 else rng.randrange(32))
    elif wire == 2:
        fields[at] = (number, 2, _odd_string(value, rng))
    else:
        fields[at] = (
            number,
            wire,
            rng.choice([b"\0" * len(value), b"\xff" * len(value), rng.randbytes(len(value))]),
        )
    return _written(fields)


def _odd_string(value: bytes, rng: Random) -> bytes:
    return rng.choice(
        [
            b"",
            value[:-1],
            value + b":0",
            value + b":garbage",
            b"^" + value,
            value + value,
            _bytes(value, rng),
            rng.choice(WORDS).encode(),
            b"\xff\xfe",
            value.upper(),
            rng.choice([b"Identity", b"Const", b"MatMul", b"LSTM", b"Loop", b"While", b"Switch"]),
        ]
    )


# Tables and pickles.


def _table(content: bytes, rng: Random, _: int) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".index") as made:
        made.write(content)
        made.flush()
        table = {
            bytes(key): bytes(value) for key, value in dict(read_table(Path(made.name))).items()
        }
    key = rng.choice(sorted(table))
    way = rng.randrange(8)
    if way == 0:
        del table[key]
    elif way == 1:
        table[
            rng.choice([b"x", key + b"/x", key[:-1], b"\xff\xfe", rng.choice(WORDS).encode()])
        ] = table[key]
    elif way == 2:
        table[key] = table[rng.choice(sorted(table))]
    else:
        table[key] = _message(table[key], rng, 0)
    return table_bytes(table)


def table_bytes(table: dict[bytes, bytes]) -> bytes:
    """A table file of one block, its checksums right."""

    def block(entries: dict[bytes, bytes]) -> bytes:
        stored = b"".join(
            b"\0" + _varint(len(key)) + _varint(len(value)) + key + value
            for key, value in entries.items()
        )
        stored += bytes(4) + (1).to_bytes(4, "little") + b"\0"
        return stored + masked_crc32c(stored).to_bytes(4, "little")

    data = block(dict(sorted(table.items())))
    index = block({b"\xff": _varint(0) + _varint(len(data) - 5)})
    footer = _varint(0) * 2 + _varint(len(data)) + _varint(len(index) - 5)
    return data + index + footer.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC


def _pickle(content: bytes, rng: Random, _: int) -> bytes:
    starts = []
    with suppress(Exception):
        starts.extend(at for _, _, at in pickletools.genops(content) if at is not None)
    end = starts[-1] + 1 if starts else len(content)
    ops = [content[a:b] for a, b in zip(starts, [*starts[1:], end], strict=True)]
    if not ops:
        return _bytes(content, rng)
    at = rng.randrange(len(ops))
    way = rng.randrange(7)
    if way == 0:
        ops.pop(at)
    elif way == 1:
        ops.insert(rng.randrange(len(ops)), ops[at])
    elif way == 2:
        ops[at] = ops[rng.randrange(len(ops))]
    elif way == 3:
        ops[at] = rng.choice(
            [
                b"N",
                b"]",
                b"}",
                b")",
                b"(",
                b"t",
                b"0",
                b"2",
                b"a",
                b"e",
                b"s",
                b"u",
                b"R",
                b"b",
                b"\x81",
                b"K\x00",
                b"K\xff",
                b"J\xff\xff\xff\xff",
                b"X\x01\x00\x00\x00x",
                b"cos\nsystem\n",
                b"ccollections\nOrderedDict\n",
                b"Q",
                b"G" + b"\x7f\xf0" + bytes(6),
            ]
        )
    elif way == 4:
        ops[at] = ops[at][:1] + rng.randbytes(len(ops[at]) - 1)
    elif way == 5:
        numbers = [
            i
            for i, op in enumerate(ops)
            if op[:1] in (b"K", b"M", b"J", b"\x8a", b"h", b"q", b"j", b"r")
        ]
        if numbers:
            at = rng.choice(numbers)
            ops[at] = ops[at][:1] + rng.choice([b"\0", b"\xff", b"\x7f"]) * (len(ops[at]) - 1)
    else:
        texts = [i for i, op in enumerate(ops) if op[:1] in (b"c", b"X", b"\x8c", b"U")]
        if texts:
            ops[rng.choice(texts)] = ops[rng.choice(texts)]
    return b"".join(ops) + content[end:]
