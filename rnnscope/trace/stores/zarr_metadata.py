"""The metadata of a zarr store of a stranger, held to what a trace needs before zarr sees it.

zarr reads whatever a codec that is installed can unpack, and takes sizes as they are claimed. Here
names, types, sizes and codecs are looked at first; all else is refused.

References
----------
Zarr core specification 3.1, https://zarr-specs.readthedocs.io/en/latest/v3/core/ ; the sharding
codec, …/v3/codecs/sharding-indexed/ .
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import TraceError

MAX_METADATA = 64 * 2**20
MAX_NODES = 100_000
MAX_CHUNK = 2**30
"""Bytes that are unpacked at once: an inner chunk."""

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64")  # fmt: skip

RATIOS = {"gzip": 1032, "zstd": 2**15, "blosc": 255}
"""Codecs that compress, and how many bytes one stored byte can stand for (DEFLATE, RFC 1951; RFC
8878, 3.1.1.2; BloscLZ's and LZ4's longest match)."""

SHARDING = "sharding_indexed"
CODECS = frozenset({"bytes", "crc32c", "transpose", SHARDING, *RATIOS})
"""Every codec that is taken. No other is ever looked up."""

FLOAT = "float"
"""A number that JSON has no word for is stored as ``{"float": "Infinity"}``."""

SAME_AS = "same_as"
"""The attribute of an array that repeats another of its group: that one's name."""


@dataclass(frozen=True)
class ArrayFacts:
    """What the metadata of an array says.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    dimensions : tuple of str
        Empty text where the store names none.
    chunks : tuple of int
        What one object holds: a shard, or a chunk.
    ratio : int
        How many bytes one stored byte can stand for.
    attributes : mapping
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dimensions: tuple[str, ...]
    chunks: tuple[int, ...]
    ratio: int
    attributes: Mapping[str, Any]

    @property
    def objects(self) -> int:
        """How many objects the values are in."""
        return math.prod(-(-n // chunk) for n, chunk in zip(self.shape, self.chunks, strict=True))


@dataclass
class GroupFacts:
    """What the metadata of a group says, and what is in it by name."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    children: dict[str, GroupFacts | ArrayFacts] = field(default_factory=dict)


def read_tree(documents: Mapping[str, bytes], where: str) -> GroupFacts:
    """The groups and arrays of a store.

    Parameters
    ----------
    documents : mapping of str to bytes
        The content of every ``zarr.json`` by the path of its node; that of the root, ``""``, may
        hold all others.
    where : str
        For messages.

    Raises
    ------
    TraceError
        A document is damaged, or says what no trace needs.
    """
    parsed = {path: _parsed(content, f"{where}: {path}/zarr.json")
              for path, content in documents.items()}  # fmt: skip
    inside = parsed[""].get("consolidated_metadata")
    if isinstance(inside, Mapping) and isinstance(inside.get("metadata"), Mapping):
        parsed = {"": parsed[""], **inside["metadata"]}
    if len(parsed) > MAX_NODES:
        raise _refused(where, f"at most {MAX_NODES} groups and arrays", f"{len(parsed)}")
    root = GroupFacts()
    for path in sorted(parsed):
        facts = _facts(parsed[path], f"{where}::/{path}")
        if not path:
            if not isinstance(facts, GroupFacts):
                raise _refused(where, "a group", "a single array")
            root.attributes = facts.attributes
            continue
        _put(root, path, facts, where)
    return root


def _put(root: GroupFacts, path: str, facts: GroupFacts | ArrayFacts, where: str) -> None:
    *above, last = path.split("/")
    if any(part.strip(".") == "" or "\x00" in part or "\\" in part for part in (*above, last)):
        raise _refused(where, "names that are no paths elsewhere", repr(path))
    group = root
    for part in above:
        inner = group.children.setdefault(part, GroupFacts())
        if not isinstance(inner, GroupFacts):
            raise _refused(where, "arrays that hold nothing but values", repr(path))
        group = inner
    group.children[last] = facts


def _parsed(content: bytes, where: str) -> dict[str, Any]:
    if len(content) > MAX_METADATA:
        raise _refused(where, f"at most {MAX_METADATA} bytes", f"{len(content)} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refused(where, "JSON", str(error)[:200]) from error
    if not isinstance(found, dict):
        raise _refused(where, "an object of JSON", type(found).__name__)
    return found


def _facts(document: Any, where: str) -> GroupFacts | ArrayFacts:
    if not isinstance(document, Mapping) or document.get("zarr_format") != 3:
        found = document.get("zarr_format") if isinstance(document, Mapping) else document
        raise _refused(where, "zarr_format 3", repr(found)[:80])
    attributes = document.get("attributes", {})
    if not isinstance(attributes, Mapping):
        raise _refused(where, "attributes by name", type(attributes).__name__)
    attributes = {str(name): plain_value(value) for name, value in attributes.items()}
    if document.get("node_type") == "group":
        return GroupFacts(attributes)
    return _array_facts(document, attributes, where)


def _array_facts(document: Mapping[str, Any], attributes: Mapping[str, Any],
                 where: str) -> ArrayFacts:  # fmt: skip
    shape = _sizes(document.get("shape"), 0, where)
    data_type = document.get("data_type")
    if data_type not in DTYPES:
        raise _refused(where, f"a data_type of {', '.join(DTYPES)}", repr(data_type)[:80])
    grid = document.get("chunk_grid")
    if not isinstance(grid, Mapping) or grid.get("name") != "regular":
        raise _refused(where, "a regular chunk_grid", repr(grid)[:80])
    chunks = _sizes(_configured(grid).get("chunk_shape"), 1, where)
    if len(chunks) != len(shape):
        raise _refused(where, f"chunks of {len(shape)} axes", repr(chunks))
    if document.get("storage_transformers"):
        raise _refused(where, "no storage_transformers", "some")
    encoding = document.get("chunk_key_encoding")
    separator = _configured(encoding).get("separator", "/")
    if not isinstance(encoding, Mapping) or (encoding.get("name"), separator) != ("default", "/"):
        raise _refused(where, "a chunk_key_encoding of default", repr(encoding)[:80])
    dtype = np.dtype(data_type)
    names = [*_codec_names(document.get("codecs"), where)]
    inner = _inner_chunk(document.get("codecs"), chunks, where)
    if math.prod(inner) * dtype.itemsize > MAX_CHUNK:
        raise _refused(where, f"chunks of at most {MAX_CHUNK} bytes", repr(inner))
    dimensions = document.get("dimension_names") or [None] * len(shape)
    if not isinstance(dimensions, list) or len(dimensions) != len(shape):
        raise _refused(where, f"{len(shape)} dimension_names", repr(dimensions)[:80])
    ratio = math.prod(RATIOS.get(name, 1) for name in names)
    texts = tuple(name if isinstance(name, str) else "" for name in dimensions)
    return ArrayFacts(shape, dtype, texts, chunks, ratio, attributes)


def _codec_names(codecs: Any, where: str, depth: int = 0) -> Iterator[str]:
    """The names of codecs, those inside a shard, too; a codec that is not taken is refused."""
    if not isinstance(codecs, list) or not codecs or len(codecs) > 8 or depth > 2:
        raise _refused(where, "a short list of codecs", repr(codecs)[:80])
    for codec in codecs:
        name = codec.get("name") if isinstance(codec, Mapping) else codec
        if name not in CODECS:
            raise _refused(where, f"codecs of {', '.join(sorted(CODECS))}", repr(name)[:80])
        yield str(name)
        if name == SHARDING:
            inside = _configured(codec)
            yield from _codec_names(inside.get("codecs"), where, depth + 1)
            # Its index is read whole before any chunk: it is never compressed.
            index = [*_codec_names(inside.get("index_codecs"), where, depth + 1)]
            if not {*index} <= {"bytes", "crc32c"}:
                raise _refused(where, "index_codecs of bytes and crc32c", ", ".join(index))


def _inner_chunk(codecs: Any, chunks: tuple[int, ...], where: str) -> tuple[int, ...]:
    """What is unpacked at once."""
    for codec in codecs:
        if isinstance(codec, Mapping) and codec.get("name") == SHARDING:
            inner = _sizes(_configured(codec).get("chunk_shape"), 1, where)
            fits = len(inner) == len(chunks) and all(
                whole % part == 0 for whole, part in zip(chunks, inner, strict=True)
            )
            if not fits:
                raise _refused(where, "chunks that fill a shard", f"{inner} in {chunks}")
            if math.prod(chunks) // math.prod(inner) * 16 > MAX_METADATA:
                raise _refused(where, "an index of moderate size", f"{inner} in {chunks}")
            return inner
    return chunks


def _configured(entry: Any) -> Mapping[str, Any]:
    found = entry.get("configuration") if isinstance(entry, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _sizes(value: Any, least: int, where: str) -> tuple[int, ...]:
    fits = isinstance(value, list) and len(value) <= 8 and all(
        type(one) is int and least <= one < 2**62 for one in value
    )  # fmt: skip
    if not fits:
        raise _refused(where, f"up to 8 sizes from {least}", repr(value)[:80])
    return tuple(value)


def plain_value(value: Any) -> Any:
    """An attribute as HDF5 would give it: numbers that JSON has no word for are numbers again."""
    if isinstance(value, Mapping) and set(value) == {FLOAT}:
        return float(value[FLOAT]) if isinstance(value[FLOAT], str) else value
    return value


def json_value(value: Any) -> Any:
    """An attribute as JSON holds it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"}
    if isinstance(value, np.ndarray):
        return [json_value(one) for one in value.tolist()]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return [json_value(one) for one in value] if isinstance(value, (list, tuple)) else value


def _refused(where: str, expected: str, found: str) -> TraceError:
    return TraceError(
        "The zarr store is not as a trace is.",
        where=where,
        expected=expected,
        found=found,
        hint="was it changed after rnnscope wrote it? Then run it again",
    )
