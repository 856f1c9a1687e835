"""Where the model of a ``.mlpackage`` folder lies: its manifest says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rnnscope.errors import CheckpointError

MANIFEST = "Manifest.json"
DATA = "Data"
MAX_MANIFEST = 1 << 20


def names_a_model(folder: Path) -> bool:
    """Whether a folder has a manifest that names a root model."""
    return isinstance(_manifest(folder).get("rootModelIdentifier"), str)


def model_in(path: Path) -> Path:
    """The file of the model: that of a package, or the file itself.

    Raises
    ------
    CheckpointError
        The manifest names a file that is not there, or lies elsewhere.
    """
    if not path.is_dir():
        return path
    manifest = _manifest(path)
    entries = manifest.get("itemInfoEntries")
    root = manifest.get("rootModelIdentifier")
    entry = entries.get(root) if isinstance(entries, dict) else None
    named = entry.get("path") if isinstance(entry, dict) else None
    inside = path / DATA / str(named)
    data = (path / DATA).resolve()
    if not isinstance(named, str) or not inside.resolve().is_relative_to(data):
        raise _lost(path, f"a path in {DATA}", named)
    if not inside.is_file():
        raise _lost(path, str(inside), "no such file")
    return inside


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / MANIFEST).read_bytes()[:MAX_MANIFEST]
        made = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return {}
    return made if isinstance(made, dict) else {}


def _lost(path: Path, expected: str, found: object) -> CheckpointError:
    return CheckpointError(
        "The manifest of the Core ML package names no model in it.",
        where=path / MANIFEST,
        expected=expected,
        found=str(found),
        hint="copy the whole .mlpackage folder again",
    )
