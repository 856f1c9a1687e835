"""A zarr store that is written: metadata first, then values, and a mark that it is whole.

On a disk it is a folder beside the target that takes the target's name when it is whole. An object
store has no renaming. There a new store is written in its place with ``complete`` 0 in the root's
metadata, which are written again, in one step and last of all, with 1. One that replaces another is
written beside it first, as whole, and copied when it is.
"""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import TraceError, spell
from rnnscope.files.remote.addresses import plain_errors, url_of
from rnnscope.files.writing.work_folders import KEPT_NEW, replace_folder, work_folder
from rnnscope.model.cell import Array
from rnnscope.trace.storage import Compression
from rnnscope.trace.stores.interface import (
    Commit,
    Corner,
    NewArray,
    WritableArray,
    WritableGroup,
)
from rnnscope.trace.stores.naming import ZARR_MARK
from rnnscope.trace.stores.zarr_filling import Budget, Filling
from rnnscope.trace.stores.zarr_metadata import SAME_AS, json_value
from rnnscope.trace.stores.zarr_place import FolderPlace, RemotePlace
from rnnscope.trace.stores.zarr_shapes import Cut, cut
from rnnscope.trace.target import exists_already

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


class DraftGroup(WritableGroup):
    """A group that is to be made."""

    def __init__(self, draft: ZarrDraft, path: str) -> None:
        self._draft, self._path = draft, path
        draft.groups.setdefault(path, {})

    def set_attribute(self, name: str, value: Any) -> None:
        self._draft.groups[self._path][name] = json_value(value)

    def create_group(self, path: str) -> WritableGroup:
        whole = self._path
        for part in path.split("/"):
            whole = f"{whole}/{part}".strip("/")
            self._draft.groups.setdefault(whole, {})
        return DraftGroup(self._draft, whole)

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
        original = self._draft.arrays[self._inside(of)]
        twin = self._add(name, original.new)
        twin.attributes = {**original.attributes, SAME_AS: of}
        original.twin = twin

    def writable(self, path: str) -> WritableArray | None:
        return self._draft.arrays.get(self._inside(path))

    def _add(self, path: str, new: NewArray, values: Array | None = None) -> DraftArray:
        folder, _, _ = path.rpartition("/")
        if folder:
            self.create_group(folder)
        array = DraftArray(f"/{self._inside(path)}", new, values)
        self._draft.arrays[self._inside(path)] = array
        return array

    def _inside(self, path: str) -> str:
        return f"{self._path}/{path}".strip("/")


class ZarrDraft:
    """A zarr store before it is whole.

    Parameters
    ----------
    target : Path
        A folder, or an address.
    force : bool
        Replace what is there.
    compress : {"gzip", "zstd"}, optional
        Of arrays over time, each chunk by itself.

    Attributes
    ----------
    commit, fingerprint : None or str
        Of no use: nothing can be taken up again.
    groups : dict of str to dict
        Attributes by path; the root's is empty text.
    arrays : dict of str to DraftArray
    """

    def __init__(self, target: Path, force: bool, compress: Compression | None) -> None:
        self.commit: Commit | None = None
        self.fingerprint: str | None = None
        self.groups: dict[str, Document] = {}
        self.arrays: dict[str, DraftArray] = {}
        self._target, self._force, self._compress = target, force, compress
        self._open = ExitStack()
        self._work: Path | None = None
        self._place: FolderPlace | RemotePlace
        self._replaced: RemotePlace | None = None
        self._begun = False
        self._documents: dict[str, Document] = {}
        self._values: Any = None

    @property
    def root(self) -> WritableGroup:
        """The root group."""
        return DraftGroup(self, "")

    @property
    def kept(self) -> None:
        """An interrupted run leaves nothing."""

    def open(self) -> bool:
        """Claim the place; nothing was ever left by another run that could be continued."""
        url = url_of(self._target)
        if url is None:
            self._work = self._open.enter_context(
                work_folder(
                    f".{self._target.name[:60]}.", ".partial", self._target.parent, self._target
                )
            )
            self._place = FolderPlace(self._work / KEPT_NEW)
        else:
            self._claim(url)
        return False

    def restart(self) -> None:
        """Begin with no groups and arrays."""
        self.groups, self.arrays = {}, {}

    def laid_out(self) -> None:
        """Write all metadata, and the coordinates."""
        large = sum(one.new.over_time for one in self.arrays.values())
        cuts = {path: cut(one.new, large)
                for path, one in self.arrays.items()}  # fmt: skip
        self._documents = {path: _group(attributes) for path, attributes in self.groups.items()}
        self._documents |= _array_documents(self.arrays, cuts, self._compress)
        self._write_documents(self._documents)
        budget = Budget()
        for path, array in self.arrays.items():
            array.filling = Filling(
                array.shape, cuts[path].objects, array.dtype, _Later(self, path), budget
            )
            if array.values is not None and array.values.size:
                array.write_block(array.values, (0,))

    def write_commit(self, done: int, state: str) -> None:
        """Nothing is kept of a run that does not come to its end."""

    def finish(self) -> None:
        """Write what is left, then the root as complete; a folder then gets its name."""
        with plain_errors():
            for array in self.arrays.values():
                if array.filling is not None:
                    array.filling.finish()
        self.groups[""]["complete"] = 1
        root = _group(self.groups[""]) | {
            "consolidated_metadata": {
                "kind": "inline",
                "must_understand": False,
                # Sorted: zarr 3 loses arrays of which those of another group stand between.
                "metadata": {
                    path: self._documents[path] for path in sorted(self._documents) if path
                },
            }
        }
        self._write_documents({"": root})
        if self._work is not None:
            self._publish()
        elif self._replaced is not None:
            self._replace(self._replaced)
        self._begun = False
        self._open.close()

    def abandon(self, keep: bool) -> None:  # noqa: ARG002  # nothing can be continued
        """Remove what was written; what was there before stays."""
        if self._begun:
            with suppress(OSError):
                assert isinstance(self._place, RemotePlace)
                self._place.remove()
            self._begun = False
        self._open.close()

    def values(self, path: str) -> Any:
        """An array as zarr writes it."""
        import zarr

        if self._values is None:
            self._values = self._place.store(read_only=False)
        # Else zarr leaves out objects of zeros, and nobody can tell them from lost ones.
        with zarr.config.set({"array.write_empty_chunks": True}):
            return zarr.open_array(self._values, path=path, mode="r+", zarr_format=3)

    def _claim(self, url: str) -> None:
        place = RemotePlace(url)
        claim = json.dumps(_group({"schema": "rnnscope-trace", "complete": 0})).encode()
        if place.sizes():
            if not self._force:
                raise exists_already(self._target)
            self._replaced = place
            place = RemotePlace(f"{url.rstrip('/')}.{uuid.uuid4().hex[:8]}.partial")
        if not place.claim(ZARR_MARK, claim):
            raise TraceError(
                "Another run is writing this trace.",
                where=self._target,
                expected="one run at a time",
                found="its mark was made a moment ago",
                hint=f"wait for it, or name another place with {spell('output')}",
            )
        self._place, self._begun = place, True

    def _publish(self) -> None:
        assert self._work is not None
        if self._target.exists() and not self._force:
            raise exists_already(self._target)
        replace_folder(self._work, self._target)

    def _replace(self, old: RemotePlace) -> None:
        """Put what is whole in the place of an older store; no step of it is lost if it ends."""
        assert isinstance(self._place, RemotePlace)
        self._begun = False  # from here on what is whole is kept, whatever happens
        new = self._place
        try:
            # Readers are told from here on that it is not complete.
            old.write({ZARR_MARK: json.dumps(_group({"schema": "rnnscope-trace",
                                                     "schema_version": 2,
                                                     "complete": 0})).encode()})  # fmt: skip
            keys = sorted(new.sizes().keys() - {ZARR_MARK})
            old.remove(sorted(old.sizes().keys() - {ZARR_MARK}))
            old.copy_from(new, keys)
            old.copy_from(new, [ZARR_MARK])
        except BaseException as fault:
            raise TraceError(
                "The older trace could not be replaced.",
                where=self._target,
                expected="that every object is copied",
                found=str(fault)[:200] or type(fault).__name__,
                hint=f"the new trace is whole at {new.url}",
            ) from fault
        with suppress(OSError):  # the trace is where it should be; what lies beside it is no error
            new.remove()

    def _write_documents(self, documents: Mapping[str, Document]) -> None:
        self._place.write(
            {f"{path}/{ZARR_MARK}".lstrip("/"): json.dumps(one, indent=1).encode()
             for path, one in documents.items()}
        )  # fmt: skip


class _Later:
    """An array of a draft, opened by zarr when the first value is written."""

    def __init__(self, draft: ZarrDraft, path: str) -> None:
        self._draft, self._path = draft, path
        self._found: Any = None

    def __call__(self) -> Any:
        if self._found is None:
            self._found = self._draft.values(self._path)
        return self._found


def _group(attributes: Document) -> Document:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _array_documents(
    arrays: Mapping[str, DraftArray], cuts: Mapping[str, Cut], compress: Compression | None
) -> dict[str, Document]:
    """The metadata of arrays as zarr writes them, made in memory."""
    import zarr
    from zarr.codecs import GzipCodec, ZstdCodec
    from zarr.storage import MemoryStore

    codecs = {"gzip": GzipCodec(level=4), "zstd": ZstdCodec(level=3)}
    kept: dict[str, Any] = {}
    store = MemoryStore(kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, array in arrays.items():
            how = cuts[path]
            packed = compress if array.new.over_time and array.dtype.kind == "f" else None
            zarr.create_array(
                store,
                name=path,
                shape=array.shape,
                dtype=array.dtype,
                chunks=how.chunks or how.objects,
                shards=None if how.chunks is None else how.objects,
                compressors=None if packed is None else codecs[packed],
                filters=None,
                # A part that is missing is never a number that might be one.
                fill_value=float("nan") if array.dtype.kind == "f" else 0,
                dimension_names=list(array.new.dimensions),
                attributes=array.attributes,
            )
    return {path: json.loads(kept[f"{path}/{ZARR_MARK}"].to_bytes()) for path in arrays}
