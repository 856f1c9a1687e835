"""Groups and arrays of a zarr store, opened for reading."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import TraceError
from rnnscope.files.arrays.stored_array import Key, StoredArray
from rnnscope.files.remote.addresses import plain_errors, without_secrets
from rnnscope.model.cell import Array
from rnnscope.trace.recognise import no_trace
from rnnscope.trace.stores.interface import ALL, ArrayNode, GroupNode
from rnnscope.trace.stores.naming import ZARR_MARK, require_zarr
from rnnscope.trace.stores.zarr_metadata import (
    MAX_METADATA,
    SAME_AS,
    ArrayFacts,
    GroupFacts,
    read_tree,
)
from rnnscope.trace.stores.zarr_place import Place, place_of


class OpenedStore:
    """A store that is open.

    Attributes
    ----------
    name : str
    root : GroupFacts
    is_open : bool
    """

    def __init__(self, path: Path, place: Place) -> None:
        self.name = str(path)
        self._place = place
        self._group: Any = None
        self.is_open = True
        sizes = place.sizes()
        if ZARR_MARK not in sizes:
            raise _nothing(self.name, sizes)
        self.root = read_tree(self._documents(sizes), self.name)
        self._stored = _stored_bytes(sizes)

    def values(self, path: str) -> Any:
        """An array as zarr reads it."""
        if self._group is None:
            import zarr

            self._group = zarr.open_group(self._place.store(read_only=True), mode="r")
        return self._group[path.strip("/")]

    def require_stored(self, path: str, facts: ArrayFacts) -> None:
        """Refuse an array of which a part is not there: zarr would make it up.

        Raises
        ------
        TraceError
            It names the array, and what is missing.
        """
        count, size = self._stored.get(path.strip("/"), (0, 0))
        claimed = math.prod(facts.shape) * facts.dtype.itemsize
        if count < facts.objects or claimed > size * facts.ratio:
            raise TraceError(
                "A part of the zarr store is missing.",
                where=f"{self.name}::{path}",
                expected=f"{facts.objects} objects for {claimed} bytes",
                found=f"{count} objects of {size} bytes",
                hint="copy the store again, with everything below it",
            )

    def _documents(self, sizes: Mapping[str, int]) -> dict[str, bytes]:
        """The content of every document, or of the root's alone if that holds all others."""
        large = [key for key in sizes if key.endswith(ZARR_MARK) and sizes[key] > MAX_METADATA]
        if large:
            raise TraceError(
                "The zarr store's metadata are too large.",
                where=f"{self.name}: {large[0]}",
                expected=f"at most {MAX_METADATA} bytes",
                found=f"{sizes[large[0]]} bytes",
            )
        root = self._place.read([ZARR_MARK])[ZARR_MARK]
        if b'"consolidated_metadata"' in root:
            return {"": root}
        keys = [key for key in sizes if key.endswith(f"/{ZARR_MARK}")]
        found = self._place.read(keys)
        return {"": root} | {key.removesuffix(f"/{ZARR_MARK}"): found[key] for key in keys}


class ZarrArray(ArrayNode):
    """An array of a zarr store."""

    def __init__(self, store: OpenedStore, path: str, facts: ArrayFacts, above: ZarrGroup) -> None:
        self._store, self.path, self._facts, self._above = store, path, facts, above

    @property
    def shape(self) -> tuple[int, ...]:
        return self._facts.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._facts.dtype

    @property
    def attributes(self) -> Mapping[str, Any]:
        found = self._facts.attributes
        return {name: value for name, value in found.items() if name != SAME_AS}

    @property
    def dimensions(self) -> tuple[str, ...]:
        return self._facts.dimensions

    @property
    def is_coordinate(self) -> bool:
        return self._facts.dimensions == (self.path.rpartition("/")[2],)

    def read(self, rows: slice = ALL) -> Array:
        return self.part(rows)

    def part(self, key: Any) -> Array:
        """Any part, as numpy would take it.

        Raises
        ------
        TraceError
            It is damaged, or not all there.
        """
        self._store.require_stored(self.path, self._facts)
        if not self._store.is_open:
            raise TraceError("The trace is closed.", where=self._store.name, hint="open it again")
        try:
            with plain_errors():
                found = np.asarray(self._store.values(self.path)[key])
        except OSError as error:
            raise TraceError(
                "The zarr store cannot be read.",
                where=f"{self._store.name}::{self.path}",
                expected="a whole array",
                found=without_secrets(str(error))[:300],
                hint="copy the store again, or try again if the network failed",
            ) from error
        return found.astype(found.dtype.newbyteorder("="), copy=False)

    def lazily(self) -> StoredArray:
        self._store.require_stored(self.path, self._facts)
        return _Slices(self)

    def coordinates(self, axis: int) -> ArrayNode | None:
        name = self._facts.dimensions[axis]
        group: ZarrGroup | None = self._above
        while group is not None and name:
            found = group.child(name)
            if isinstance(found, ArrayNode):
                return found
            group = group.above
        return None

    def same_as(self, other: object) -> bool:
        return isinstance(other, ZarrArray) and self.original == other.original

    @property
    def original(self) -> str:
        """The path of the array that this one repeats; else its own."""
        folder, _, _ = self.path.rpartition("/")
        named = self._facts.attributes.get(SAME_AS)
        twin = self._above.child(named) if isinstance(named, str) and "/" not in named else None
        alike = isinstance(twin, ZarrArray) and (twin.shape, twin.dtype) == (self.shape, self.dtype)
        return f"{folder}/{named}" if alike else self.path


class _Slices:
    """A `StoredArray` of a zarr array."""

    def __init__(self, node: ZarrArray) -> None:
        self._node = node
        self.shape = node.shape
        self.dtype: np.dtype[Any] = node.dtype.newbyteorder("=")

    def read(self, key: Key = (), out: Array | None = None) -> Array:
        found = self._node.part(key or ALL)
        if out is None:
            return found
        out[...] = found
        return out


class ZarrGroup(GroupNode):
    """A group of a zarr store."""

    kind = "zarr"

    def __init__(
        self, store: OpenedStore, path: str, facts: GroupFacts, above: ZarrGroup | None = None
    ) -> None:
        self._store, self.path, self._facts, self.above = store, path, facts, above
        self.store_name = store.name

    @property
    def is_open(self) -> bool:
        return self._store.is_open

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self._facts.attributes

    @property
    def identity(self) -> Hashable:
        return self.path

    def names(self) -> list[str]:
        return sorted(self._facts.children)

    def child(self, path: str) -> GroupNode | ArrayNode | None:
        first, _, rest = path.strip("/").partition("/")
        facts = self._facts.children.get(first)
        whole = f"{self.path.rstrip('/')}/{first}"
        if isinstance(facts, ArrayFacts):
            return None if rest else ZarrArray(self._store, whole, facts, self)
        if facts is None:
            return None
        group = ZarrGroup(self._store, whole, facts, self)
        return group.child(rest) if rest else group

    def arrays(self) -> dict[str, ArrayNode]:
        found: dict[str, ArrayNode] = {}
        for name in self.names():
            item = self.child(name)
            if isinstance(item, ZarrGroup):
                found |= {f"{name}/{inner}": one for inner, one in item.arrays().items()}
            elif isinstance(item, ZarrArray) and item.original == item.path:
                found[name] = item
        return found


@contextmanager
def open_zarr(path: Path) -> Iterator[GroupNode]:
    """Open a zarr store for reading.

    Raises
    ------
    TraceError
        Nothing is there, or a store that no trace is.
    OptionError
        zarr is not installed.
    """
    require_zarr(path)
    try:
        with plain_errors():
            store = OpenedStore(path, place_of(path))
    except OSError as error:
        raise TraceError(
            "The zarr store cannot be opened.",
            where=path,
            expected="a store that can be listed and read",
            found=without_secrets(str(error))[:300],
            hint="check the address and the permissions",
        ) from error
    try:
        yield ZarrGroup(store, "/", store.root)
    finally:
        store.is_open = False


def _stored_bytes(sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """How many objects each array's values are in, and their bytes, by its path."""
    counts, total = Counter[str](), Counter[str]()
    for key, size in sizes.items():
        path, mark, _ = key.rpartition("/c/")
        if mark:
            counts[path] += 1
            total[path] += size
    return {path: (counts[path], total[path]) for path in counts}


def _nothing(name: str, sizes: Mapping[str, int]) -> TraceError:
    if any(key.endswith((".zgroup", ".zarray", ".zattrs")) for key in sizes):
        return no_trace(name, "a zarr store of version 2")
    if not sizes:
        return TraceError(
            "There is no such trace.",
            where=name,
            expected="a zarr store",
            found="nothing",
            hint="check the path, or the address",
        )
    names = ", ".join(sorted(sizes)[:3])
    return no_trace(name, f"a folder that holds {names}, and no {ZARR_MARK}")
