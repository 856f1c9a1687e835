"""A zarr store that is written: metadata first, then values, and a mark that it is whole.

On a disk it is a folder beside the target that takes the target's name when it is whole. An object
store has no renaming. There a new store is written in its place with ``complete`` 0 in the root's
metadata, which are written again, in one step and last of all, with 1. One that replaces another is
written beside it first, as whole, and copied when it is.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from rnnscope.errors import TraceError, spell
from rnnscope.files.remote.addresses import plain_errors, url_of
from rnnscope.files.writing.work_folders import KEPT_NEW, replace_folder, work_folder
from rnnscope.trace.storage import Compression
from rnnscope.trace.stores.interface import Commit, WritableGroup
from rnnscope.trace.stores.naming import ZARR_MARK
from rnnscope.trace.stores.zarr_documents import array_documents, group_document
from rnnscope.trace.stores.zarr_draft_tree import Document, DraftGroup, DraftTree
from rnnscope.trace.stores.zarr_filling import Budget, Filling
from rnnscope.trace.stores.zarr_place import FolderPlace, RemotePlace
from rnnscope.trace.stores.zarr_shapes import cut
from rnnscope.trace.target import exists_already


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
    tree : DraftTree
        What is to be made.
    """

    def __init__(self, target: Path, force: bool, compress: Compression | None) -> None:
        self.commit: Commit | None = None
        self.fingerprint: str | None = None
        self.tree = DraftTree()
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
        return DraftGroup(self.tree, "")

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
        self.tree.clear()

    def laid_out(self) -> None:
        """Write all metadata, and the coordinates."""
        large = sum(one.new.over_time for one in self.tree.arrays.values())
        cuts = {path: cut(one.new, large)
                for path, one in self.tree.arrays.items()}  # fmt: skip
        self._documents = {
            path: group_document(attributes) for path, attributes in self.tree.groups.items()
        }
        self._documents |= array_documents(self.tree.arrays, cuts, self._compress)
        self._write_documents(self._documents)
        budget = Budget()
        for path, array in self.tree.arrays.items():
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
            for array in self.tree.arrays.values():
                if array.filling is not None:
                    array.filling.finish()
        self.tree.groups[""]["complete"] = 1
        root = group_document(self.tree.groups[""]) | {
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
        claim = json.dumps(group_document({"schema": "rnnscope-trace", "complete": 0})).encode()
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
            mark = group_document({"schema": "rnnscope-trace", "schema_version": 2, "complete": 0})
            old.write({ZARR_MARK: json.dumps(mark).encode()})
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
