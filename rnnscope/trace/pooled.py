"""Pooled arrays inside a trace: ``/pooled/<layer>/<state>/<method>``, added to a whole trace.

A trace may be days of work, and HDF5 that is killed while it writes can leave a file that nothing
opens. So nothing is written into the trace itself: a copy beside it gets the arrays, and takes its
name when it is whole, so that nothing can be lost. The system makes the copy: where the file system
can, it shares the trace's blocks (Btrfs, XFS), and costs neither time nor room; elsewhere it takes
the trace's room on the disk for a while.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import TraceError, spell
from rnnscope.files.hdf5.discarding import discard
from rnnscope.files.hdf5.safe_hdf5 import child, load_array, open_h5, require_plain, walk_datasets
from rnnscope.files.writing.write_back import begin_write_back
from rnnscope.model.cell import Array
from rnnscope.trace.attributes import LAYER
from rnnscope.trace.groups import layer_groups
from rnnscope.trace.labels import label
from rnnscope.trace.partial import partial_path
from rnnscope.trace.parts.table import FOLDER
from rnnscope.trace.schema import OUTPUT, POOLED, SEQUENCE, UNIT, group_paths
from rnnscope.trace.stores.hdf5_nodes import Hdf5Array, Hdf5Group
from rnnscope.trace.target import check_target, publish
from rnnscope.trace.write_lock import locked

COPY_BYTES = 4 * 2**20


@dataclass(frozen=True)
class PooledHeader:
    """What a trace says of a pooled array.

    Attributes
    ----------
    layer : str
        The layer's name; of two directions that were joined a name for both.
    state, method : str
        ``"m"``, ``"c"`` or ``"outputs"``; a key of `rnnscope.pooling.POOLINGS`.
    width : int
    dtype : str
        That of the layers; ``"int64"`` for numbers of timesteps.
    layers : tuple of str
        The layers of the trace that went in: one; or forward and backward.
    direction : str or None
        How they were joined, ``"concat"`` or ``"sum"``, or which one of two was taken.
    edge : str or None
        For a method that takes one step: whose, ``"input"`` or ``"final"``.
    """

    layer: str
    state: str
    method: str
    width: int
    dtype: str
    layers: tuple[str, ...]
    direction: str | None = None
    edge: str | None = None

    @property
    def key(self) -> str:
        """``LAYER/STATE/METHOD``."""
        return f"{self.layer}/{self.state}/{self.method}"


class PooledWriter:
    """Adds pooled arrays to a trace; use ``with``. After an exception the trace is as it was.

    Parameters
    ----------
    path : str or path
        A whole trace, as `Trace.open` takes it.
    headers : sequence of PooledHeader
    force : bool
        Replace pooled arrays of the same layer, state and method.

    Raises
    ------
    TraceError
        The trace may not be written, or holds one of the arrays already and `force` is False. On
        entering ``with``: another process adds to it, or there is no room. On leaving: the trace
        was changed meanwhile.
    """

    def __init__(
        self, path: str | os.PathLike[str], headers: Sequence[PooledHeader], *, force: bool = False
    ) -> None:
        self.path = check_target(path, force=True)
        if not os.access(self.path, os.W_OK):
            raise TraceError(
                "The trace may not be written.",
                where=self.path,
                expected="permission to write",
                found="none",
                hint=f"name a file of its own with {spell('output')}",
            )
        self._given, self._headers, self._force = path, tuple(headers), force
        self._partial = partial_path(self.path.with_name(f"{self.path.name}.{POOLED}"))
        self._before = _signature(self.path)
        self._mode = stat.S_IMODE(self.path.stat().st_mode)
        self._paths: dict[str, str] = {}
        self._lock: int | None = None
        self._file: Any = None
        with open_h5(self.path, error=TraceError) as file:
            self._find_places(file)

    def place(self, header: PooledHeader) -> str:
        """The array's path in the trace."""
        return f"{self._given}::{self._paths[header.key]}"

    def __enter__(self) -> PooledWriter:
        import h5py

        try:
            with self._disk_errors():
                self._lock = locked(self._partial, self.path)
                self._copy_trace(self._lock)
                self._require_unchanged()
                # HDF5's own lock would collide with the one that is held here.
                self._file = h5py.File(self._partial, "r+", locking=False)
                # Of a trace in parts the copy ties the same parts; only /pooled is written.
                joined = FOLDER in self._file.attrs
                require_plain(self._file, TraceError, allow_virtual=joined)
                self._file.attrs["complete"] = 0
                for header in self._headers:
                    self._create(header)
                self._file.flush()  # killed from here on, the copy says that it is not complete
        except BaseException:  # nothing is swallowed: an interrupt leaves no half file either
            self._abandon()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            with self._disk_errors():
                self._file.attrs["complete"] = 1
                self._file.flush()  # what fails here can still be closed
                self._file.close()
                self._require_unchanged()
                publish(self._partial, self.path, force=True)
        except BaseException:  # nothing is swallowed: an interrupt leaves no half file either
            self._abandon()
            raise
        self._release()

    def _copy_trace(self, copy: int) -> None:
        """Copy the trace into the file that is locked, whatever its name may lead to by now."""
        with self.path.open("rb") as source, open(copy, "wb", closefd=False) as target:
            target.truncate()
            if not _copied_by_system(source.fileno(), copy):
                shutil.copyfileobj(source, target, COPY_BYTES)
        begin_write_back(copy)  # it is forced to the disk before it takes the trace's name
        by_descriptor = os.chmod in os.supports_fd
        os.chmod(copy if by_descriptor else self._partial, self._mode)  # noqa: PTH101

    def write(self, header: PooledHeader, values: Array, sequences: slice) -> None:
        """Write values (sequence, unit) of some sequences."""
        with self._disk_errors():
            dataset = self._file[self._paths[header.key]]
            dataset[sequences] = values
            dataset.flush()  # what fails when the object is collected, h5py only remarks upon

    def _find_places(self, file: Any) -> None:
        groups = {
            str(group.attributes[LAYER]): group.path for group in layer_groups(Hdf5Group(file))
        }
        joined = {header.layer for header in self._headers} - groups.keys()
        # Among all layers, so that a made-up name never gets the place of a real one.
        made_up = group_paths([*groups, *joined])
        present = []
        for header in self._headers:
            group = groups.get(header.layer, f"/{made_up[header.layer]}")
            path = f"/{POOLED}{group}/{header.state}/{header.method}"
            self._paths[header.key] = path
            if child(file, path, TraceError) is not None:
                present.append(path)
        if present and not self._force:
            raise TraceError(
                "The trace holds these pooled arrays already.",
                where=self.path,
                expected="none of them",
                found=", ".join(present[:5]) + (" …" if len(present) > 5 else ""),
                hint=(
                    f"replace them with {spell('force')}, or name "
                    f"a file of their own with {spell('output')}"
                ),
            )

    def _create(self, header: PooledHeader) -> None:
        path = self._paths[header.key]
        child(self._file, path, TraceError)  # refuses links to elsewhere on the way
        folder, _, method = path.rpartition("/")
        group = self._file.require_group(folder)
        dimension = UNIT if header.state == "c" else OUTPUT
        if dimension not in group:
            scale = group.create_dataset(dimension, data=np.arange(header.width, dtype=np.int64))
            scale.make_scale(dimension)
            label(Hdf5Array(scale), dimension)
            scale.flush()
            group.attrs["layers"] = list(header.layers)
            group.attrs["direction"] = header.direction or "none"
        if method in group:
            del group[method]
        shape = (int(self._file[SEQUENCE].shape[0]), header.width)
        dataset = group.create_dataset(method, shape, header.dtype)
        dataset.dims[0].attach_scale(self._file[SEQUENCE])
        dataset.dims[1].attach_scale(group[dimension])
        label(Hdf5Array(dataset), header.state, f", {method} over valid steps")
        if header.edge is not None:
            dataset.attrs["edge"] = header.edge

    def _require_unchanged(self) -> None:
        if _signature(self.path) != self._before:
            raise TraceError(
                "The trace was changed while its states were pooled.",
                where=self.path,
                expected="one program at a time",
                found="another one wrote it",
                hint="run it again",
            )

    def _abandon(self) -> None:
        """Leave the trace as it was, and nothing beside it."""
        if self._lock is None:
            return
        if self._file is not None:
            discard(self._file)
        with suppress(OSError):
            self._partial.unlink()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        # h5py turns what HDF5 cannot write into either, depending on the call.
        except (OSError, RuntimeError) as error:
            raise TraceError(
                "The pooled arrays cannot be written into the trace.",
                where=self.path,
                expected="room on the disk for a copy of the trace, and permission to write",
                found=str(error),
                hint=(
                    "the trace is as it was; free some space, "
                    f"or name a small file with {spell('output')}"
                ),
            ) from error


def _copied_by_system(source: int, target: int) -> bool:
    """Copy a whole file into an empty one; False, and nothing done, where the system cannot."""
    copy = getattr(os, "copy_file_range", None)
    if copy is None:
        return False
    size, done = os.fstat(source).st_size, 0
    while done < size:
        try:
            copied = copy(source, target, size - done)
        except OSError:
            if done:
                raise
            return False  # another file system, an old kernel: copied by hand
        if not copied:
            break  # cut meanwhile: `_require_unchanged` tells
        done += copied
    return True


def _signature(path: Path) -> tuple[int, ...]:
    """What changes when a file is written or replaced."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def load_pooled(path: str | os.PathLike[str]) -> dict[str, Array]:
    """All pooled arrays (sequence, unit) of a trace, by ``LAYER/STATE/METHOD`` as in the file.

    Raises
    ------
    TraceError
        The file is damaged, or its links lead elsewhere.
    """
    import h5py

    found: dict[str, Array] = {}
    with open_h5(Path(path), error=TraceError) as file:
        top = child(file, POOLED, TraceError)
        if not isinstance(top, h5py.Group):
            return found
        for item in walk_datasets(top, TraceError):
            if item.shape is not None and item.ndim == 2:
                name = str(item.name).removeprefix(f"/{POOLED}/")
                found[name] = load_array(item, TraceError)
    return found
