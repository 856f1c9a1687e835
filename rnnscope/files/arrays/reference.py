"""``FILE::NAME``: how an array in a file is named."""

from __future__ import annotations

from pathlib import Path


def split_reference(spec: str) -> tuple[Path, str | None]:
    """``file::name`` into a path and a name; a file that is really called so wins."""
    path, mark, name = spec.rpartition("::")
    if not mark or Path(spec).exists():
        return Path(spec), None
    return Path(path), name.strip("/")
