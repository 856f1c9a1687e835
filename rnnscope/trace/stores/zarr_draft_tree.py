"""The groups and arrays of a zarr store that is to be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.remote.addresses import plain_errors
from rnnscope.model.cell import Array
from rnnscope.trace.stores.interface import Corner, NewArray, WritableArray, WritableGroup
from rnnscope.trace.stores.zarr_filling import Filling
from rnnscope.trace.stores.zarr_metadata import SAME_AS, json_value

Document = dict[str, Any]
"""The metadata of a group or an array as JSON has them."""


class DraftArray(WritableArray):
    """An array that is to be made, and is filled once it is laid out."""

    def __init__(self, path: str, new: NewArray, values: Array | None = None) -> None:
        self.path, self.new, self.values = path, new, values
        self.attributes: Document = {}
        self.filling: Filling | None = None
        self.twin: DraftArray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.new.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.new.dtype

    def set_attribute(self, name: str, value: Any) -> None:
        self.attributes[name] = json_value(value)

    def write_block(self, array: Array, corner: Corner) -> None:
        assert self.filling is not None
        with plain_errors():
            self.filling.write(array, corner)
            if self.twin is not None:
                self.twin.write_block(array, corner)

    def read_block(self, out: Array, corner: Corner) -> None:
        assert self.filling is not None
        with plain_errors():
            self.filling.read(out, corner)


@dataclass(eq=False)
class DraftTree:
    """All groups and arrays of a store, by path.

    Attributes
    ----------
    groups : dict of str to dict
        Attributes of each; the root's path is empty text.
    arrays : dict of str to DraftArray
    """

    groups: dict[str, Document] = field(default_factory=dict)
    arrays: dict[str, DraftArray] = field(default_factory=dict)

    def clear(self) -> None:
        """Begin with no groups and arrays."""
        self.groups.clear()
        self.arrays.clear()


class DraftGroup(WritableGroup):
    """A group that is to be made."""

    def __init__(self, tree: DraftTree, path: str) -> None:
        self._tree, self._path = tree, path
        tree.groups.setdefault(path, {})

    def set_attribute(self, name: str, value: Any) -> None:
        self._tree.groups[self._path][name] = json_value(value)

    def create_group(self, path: str) -> WritableGroup:
        whole = self._path
        for part in path.split("/"):
            whole = f"{whole}/{part}".strip("/")
            self._tree.groups.setdefault(whole, {})
        return DraftGroup(self._tree, whole)

    def create_coordinates(self, name: str, places: Array) -> WritableArray:
        values = places.astype(np.int64)
        return self._add(name, NewArray(values.shape, values.dtype, (name,)), values)

    def create_array(
        self,
        path: str,
        new: NewArray,
        coordinates: Mapping[str, WritableArray],  # noqa: ARG002  # axes are told by name alone
    ) -> WritableArray:
        return self._add(path, new)

    def create_name(self, name: str, of: str) -> None:
        original = self._tree.arrays[self._inside(of)]
        twin = self._add(name, original.new)
        twin.attributes = {**original.attributes, SAME_AS: of}
        original.twin = twin

    def writable(self, path: str) -> WritableArray | None:
        return self._tree.arrays.get(self._inside(path))

    def _add(self, path: str, new: NewArray, values: Array | None = None) -> DraftArray:
        folder, _, _ = path.rpartition("/")
        if folder:
            self.create_group(folder)
        array = DraftArray(f"/{self._inside(path)}", new, values)
        self._tree.arrays[self._inside(path)] = array
        return array

    def _inside(self, path: str) -> str:
        return f"{self._path}/{path}".strip("/")
