"""Files that are no files: a pipe waits for ever, a device has no end."""

from __future__ import annotations

import stat
from pathlib import Path

from rnnscope.errors import RnnscopeError
from rnnscope.files.remote.addresses import ADDRESS, PROTOCOLS, without_secrets


def refuse_no_path(path: Path, error: type[RnnscopeError], *, is_written: bool = False) -> None:
    """Refuse what is not there and was never a path: a URL, or a ``~`` that no shell replaced.

    Parameters
    ----------
    path : Path
    error : type of RnnscopeError
    is_written : bool
        A file would be made there.

    Raises
    ------
    RnnscopeError
        It says what it is.
    """
    text = str(path)
    address = ADDRESS.fullmatch(text)
    if address is None and not text.startswith("~"):
        return
    if path.exists():
        return
    if address is not None:
        url = without_secrets(f"{address[1]}://{address[2]}")
        hint = "copy it here first"
        if address[1].lower() in ("http", "https", "ftp"):
            hint = f"download it first: curl -fLO {url}"
        elif not is_written:
            hint = f"copy it here first; taken are {', '.join(PROTOCOLS)}"
        raise error(
            f"This is an address, and only files are {'written' if is_written else 'opened'}.",
            where=url,
            expected="a path",
            found="a URL",
            hint="write a file, and upload that" if is_written else hint,
        )
    raise error(
        "The shell did not put your home folder in the place of '~': it was quoted.",
        where=text,
        expected="a path",
        found="a name that begins with ~",
        hint=f'leave the quotes out, or write "$HOME{text[1:]}"'
        if text[1:2] in ("", "/")
        else "leave the quotes out",
    )


def require_regular(path: Path, error: type[RnnscopeError]) -> None:
    """Refuse a pipe, a device or a socket before it is opened, and what never was a path.

    A path where nothing is is no matter here.

    Raises
    ------
    RnnscopeError
        It names the path and what it is.
    """
    refuse_no_path(path, error)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    raise error(
        "This is no file.",
        where=path,
        expected="a file, which has an end and can be read again",
        found=next((name for test, name in kinds if test(mode)), "a device"),
        hint="write what comes out of it into a file first",
    )
