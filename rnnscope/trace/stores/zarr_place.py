"""Where a zarr store lies: a folder, or a prefix of an object store; its objects by key.

Groups and arrays are zarr's own business. This is what a trace needs beside them: to list what is
there before it is read, to write all metadata at once, to remove what a failed run wrote.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from rnnscope.errors import TraceError
from rnnscope.files.remote.addresses import file_system, plain_errors, url_of

MAX_OBJECTS = 1_000_000
"""Objects of one store: a shard is one, however many chunks it has."""


class Place(Protocol):
    """A store's objects by key, such as ``rnn/lstm_cell/c/zarr.json``."""

    def sizes(self) -> dict[str, int]:
        """The bytes of every object."""

    def read(self, keys: list[str]) -> dict[str, bytes]:
        """Whole objects."""

    def write(self, objects: Mapping[str, bytes]) -> None:
        """Make or replace objects."""

    def store(self, *, read_only: bool) -> Any:
        """The same for zarr."""


def place_of(path: Path) -> Place:
    """The place that a path or an address names."""
    url = url_of(path)
    return FolderPlace(path) if url is None else RemotePlace(url)


class FolderPlace:
    """A folder of this system. Links in it are refused: they may lead anywhere.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        waiting = [(self.folder, "")] if self.folder.is_dir() else []
        while waiting:
            folder, prefix = waiting.pop()
            for entry in os.scandir(folder):
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    waiting.append((Path(entry.path), f"{prefix}{entry.name}/"))
                elif stat.S_ISREG(mode):
                    found[prefix + entry.name] = entry.stat(follow_symlinks=False).st_size
                else:
                    raise _no_file(self.folder, prefix + entry.name, stat.S_ISLNK(mode))
            require_few(self.folder, len(found) + len(waiting))
        return found

    def read(self, keys: list[str]) -> dict[str, bytes]:
        return {key: (self.folder / key).read_bytes() for key in keys}

    def write(self, objects: Mapping[str, bytes]) -> None:
        for key, content in objects.items():
            file = self.folder / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def store(self, *, read_only: bool) -> Any:
        from zarr.storage import LocalStore

        return LocalStore(self.folder, read_only=read_only)


class RemotePlace:
    """A prefix of an object store.

    Parameters
    ----------
    url : str
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.system, self.root = file_system(url, TraceError)

    def sizes(self) -> dict[str, int]:
        with plain_errors():
            self.system.invalidate_cache()
            try:
                found = self.system.find(self.root, detail=True)
            except FileNotFoundError:
                return {}
        require_few(self.url, len(found))
        prefix = self.root.rstrip("/") + "/"
        return {
            name.removeprefix(prefix): int(about["size"] or 0)
            for name, about in found.items()
            if name.startswith(prefix) and about["type"] == "file"
        }

    def read(self, keys: list[str]) -> dict[str, bytes]:
        # One by one: for several, names with [ or * are taken for patterns.
        with plain_errors():
            return {key: self.system.cat_file(f"{self.root}/{key}") for key in keys}

    def write(self, objects: Mapping[str, bytes]) -> None:
        with plain_errors():
            self.system.pipe({f"{self.root}/{key}": content for key, content in objects.items()})

    def claim(self, key: str, content: bytes) -> bool:
        """Make an object where none is; False where one is, as far as the store can tell."""
        try:
            with plain_errors():
                self.system.pipe_file(f"{self.root}/{key}", content, mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, keys: list[str] | None = None) -> None:
        """Remove objects; without `keys`, all."""
        with plain_errors():
            self.system.invalidate_cache()
            if keys is not None:
                for key in keys:
                    self.system.rm_file(f"{self.root}/{key}")
            elif self.system.exists(self.root):
                self.system.rm(self.root, recursive=True)

    def copy_from(self, other: RemotePlace, keys: list[str]) -> None:
        """Copy objects of another prefix; the store does it itself where it can."""
        with plain_errors():
            for key in keys:
                self.system.cp_file(f"{other.root}/{key}", f"{self.root}/{key}")

    def store(self, *, read_only: bool) -> Any:
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(self.url, read_only=read_only)


def require_few(where: object, count: int) -> None:
    """Refuse a store of more objects than any trace has.

    Raises
    ------
    TraceError
    """
    if count > MAX_OBJECTS:
        raise TraceError(
            "The zarr store holds more objects than any trace has.",
            where=where,
            expected=f"at most {MAX_OBJECTS}",
            found="more",
        )


def _no_file(folder: Path, key: str, is_link: bool) -> TraceError:
    return TraceError(
        "The zarr store holds a link, which rnnscope does not follow."
        if is_link
        else "The zarr store holds something that is no file.",
        where=f"{folder}: {key}",
        expected="files and folders of its own",
        found="a link" if is_link else "a pipe, a socket or a device",
        hint="copy the store with the data inside it: cp -rL",
    )
