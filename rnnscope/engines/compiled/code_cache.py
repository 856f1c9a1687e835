"""Machine code kept from one process to the next, as other compilers for Python do.

A file a kind of cell, in the user's own cache folder, which nobody else may write to; what it was
made from is in its name, and a digest in front of the code. Whatever does not fit is as good as
not there: it is made again. No folder, no keeping.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

DIGEST_BYTES = hashlib.sha256().digest_size


def folder() -> Path:
    """The user's cache folder, as the system names it."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if not base.is_absolute():  # unset, empty, or what the standard says to ignore
            base = Path.home() / ".cache"
    return Path(base, "rnnscope")


def name(*texts: str, sources: Iterable[str]) -> str:
    """The name of what is made from some texts by the code of some files."""
    digest = hashlib.sha256()
    for content in (*map(str.encode, texts), *(Path(source).read_bytes() for source in sources)):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]


def load(name: str) -> bytes | None:
    """The code kept under a name; None if there is none, or if it could be another's."""
    try:
        path = folder() / name
        if not (trusted(path.parent.stat()) and trusted(path.stat())):
            return None
        kept = path.read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    digest, code = kept[:DIGEST_BYTES], kept[DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == digest else None


def save(name: str, code: bytes) -> None:
    """Keep code under a name, if that is possible."""
    with contextlib.suppress(OSError, RuntimeError):
        place = folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not trusted(place.stat()):
            return
        handle, path = tempfile.mkstemp(dir=place)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            Path(path).replace(place / name)
        except OSError:
            Path(path).unlink()
            raise


def trusted(found: os.stat_result) -> bool:
    """Whether nobody but the user, or the system, can have written a file or into a folder."""
    if os.name != "posix":
        return True  # it lies in the user's profile
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid in (os.getuid(), 0) and not others
