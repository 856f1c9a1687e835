"""Writing a report to a file, in the format that its name says."""

from __future__ import annotations

from pathlib import Path

from rnnscope.errors import OptionError
from rnnscope.printable import Printable, formats_of
from rnnscope.states.saving import save_text

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
        The suffix is that of no format.
    TraceError
        It cannot be written.
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
    save_text(path, result.render(format_name), force=True, what="report")
