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
from collections.abc import Iterable
from pathlib import Path

from rnnscope.files.writing.own_files import NO_LINK

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
    """The code kept under a name; None if there is none, or if it could be another's.

    The file is opened once and that very file is judged, so that none can take its place between.
    """
    try:
        path = folder() / name
        if not own_place(path.parent):
            return None
        descriptor = os.open(path, os.O_RDONLY | NO_LINK | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not (stat.S_ISREG(found.st_mode) and trusted(found)):
                return None
            kept = file.read()
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    digest, code = kept[:DIGEST_BYTES], kept[DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == digest else None


def save(name: str, code: bytes) -> None:
    """Keep code under a name, if that is possible."""
    import tempfile

    with contextlib.suppress(OSError, RuntimeError):
        place = folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not own_place(place):
            return
        handle, path = tempfile.mkstemp(dir=place)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            Path(path).replace(place / name)
        except OSError:
            Path(path).unlink()
            raise


def own_place(place: Path) -> bool:
    """Whether nobody else can have put a file into a folder, or the folder into its place.

    The folder itself is no link; above it links are followed (homes are often reached over one),
    and whatever they lead through must be the user's or the system's, too. A folder that everybody
    may write to is harmless above if only owners may rename in it, as in /tmp.
    """
    if os.name != "posix":
        return True
    if not trusted(place.lstat()) or not stat.S_ISDIR(place.lstat().st_mode):
        return False
    return all(_nobody_renames(parent.stat()) for parent in place.resolve().parents)


def _nobody_renames(found: os.stat_result) -> bool:
    owned = found.st_uid in (os.getuid(), 0)
    sticky = bool(found.st_mode & stat.S_ISVTX)
    # Where each user has a group of their own, of the same number, its right to write is theirs.
    private = found.st_uid == found.st_gid and not found.st_mode & stat.S_IWOTH
    return trusted(found) or (owned and (sticky or private))


def trusted(found: os.stat_result) -> bool:
    """Whether nobody but the user, or the system, can have written a file or into a folder."""
    if os.name != "posix":
        return True  # it lies in the user's profile
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid in (os.getuid(), 0) and not others
