"""The ``model.json`` of TensorFlow.js: what tells one, and its parts."""

from __future__ import annotations

from pathlib import Path

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.containers.weight_shards import ShardedArray, read_manifest
from rnnscope.files.messages.json_config import MAX_CONFIG, ConfigView, parse_config

NAME = "model.json"
TOPOLOGY, MANIFEST = "modelTopology", "weightsManifest"
FIRST, SNIFFED = 64, 1 << 20
"""Bytes that are looked at: one of both keys stands in front of most of the file."""

WHITE = b"\xef\xbb\xbf \t\r\n"
"""What may stand in front of JSON, a byte order mark among it."""


@dataclass(frozen=True, eq=False)
class JsonModel:
    """A file.

    Attributes
    ----------
    path : Path
        The JSON file.
    root, topology : ConfigView
    arrays : dict of str to ShardedArray
        By name.
    """

    path: Path
    root: ConfigView
    topology: ConfigView
    arrays: dict[str, ShardedArray]

    @classmethod
    def read(cls, path: Path) -> JsonModel:
        """Read a file, or the one in a folder.

        Raises
        ------
        CheckpointError
            It is too large, no JSON, or has no manifest.
        """
        path = json_of(path)
        size = path.stat().st_size
        if size > MAX_CONFIG:
            raise CheckpointError(
                "The model's JSON is larger than any model needs.",
                where=path, expected=f"at most {MAX_CONFIG} bytes", found=f"{size} bytes",
            )  # fmt: skip
        root = parse_config(path.read_bytes(), str(path))
        arrays = read_manifest(root.get(MANIFEST, list), path)
        return cls(path, root, root.view(TOPOLOGY), arrays)

    @property
    def files(self) -> tuple[Path, ...]:
        """The JSON file and all shards, each once."""
        groups = dict.fromkeys(one.group for one in self.arrays.values())
        return tuple(dict.fromkeys((self.path, *(path for one in groups for path in one.files))))

    def said(self, key: str) -> str:
        """A word that the file says of who wrote it; empty if it does not."""
        value = self.root.raw(key)
        return value.strip()[:80] if isinstance(value, str) else ""


def json_of(path: Path) -> Path:
    """The JSON file of a path: itself, or that in a folder."""
    return path / NAME if path.is_dir() else path


def head_of(path: Path) -> bytes:
    """The first bytes of a JSON object; empty if it is none. Never raises."""
    try:
        there = json_of(path)
        if not there.is_file():
            return b""
        with there.open("rb") as file:
            head = file.read(FIRST).lstrip(WHITE)
            return head + file.read(SNIFFED) if head.startswith(b"{") else b""
    except OSError:
        return b""


def is_json_model(path: Path) -> bool:
    """Whether a file is a model.json, of layers or of a graph. Never raises."""
    head = head_of(path)
    return any(f'"{key}"'.encode() in head for key in (TOPOLOGY, MANIFEST))
