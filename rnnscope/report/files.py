"""Writing a report to a file, in the format that its name says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rnnscope.errors import OptionError
from rnnscope.printable import Printable, formats_of

SUFFIXES = {".json": "json", ".md": "markdown", ".markdown": "markdown", ".txt": "text"}


def write_report(result: Printable, path: Path, format_name: str = "text") -> None:
    """Write a result; a failed write leaves what was there.

    Parameters
    ----------
    result : Printable
    path : Path
        Its suffix says the format.
    format_name : str
        The format where there is no suffix.

    Raises
    ------
    OptionError
        The suffix is that of no format, or the folder cannot be written to.
    """
    known = formats_of(result.report_kind)
    if path.suffix:
        format_name = SUFFIXES.get(path.suffix.lower(), "")
    if format_name not in known:
        raise OptionError(
            "The name of the report does not say its format.",
            where=path,
            expected=", ".join(
                suffix for suffix, name in SUFFIXES.items() if suffix and name in known
            ),
            found=path.suffix or "no suffix",
        )
    text = result.render(format_name)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OptionError(
            "The report cannot be written.", where=path, found=error.strerror
        ) from error
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    except OSError as error:
        raise OptionError(
            "The report cannot be written.", where=path, found=error.strerror
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
