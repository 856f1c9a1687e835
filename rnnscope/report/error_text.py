"""An error as text for stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnscope.errors import RnnscopeError
from rnnscope.report.console import make_console
from rnnscope.wording import printable

if TYPE_CHECKING:
    from rich.text import Text


def render_error(error: RnnscopeError, *, color: bool = False) -> str:
    """The error for stderr: ``error: what``, then a labelled, indented line for each part.

    Lines are not wrapped, so that paths stay whole.
    """
    text = _error_text(error)
    if not color:
        return f"{text.plain}\n"
    console = make_console(80, color=True)
    with console.capture() as capture:
        console.print(text, soft_wrap=True)
    return capture.get()


def _error_text(error: RnnscopeError) -> Text:
    from rich.text import Text

    text = Text()
    text.append("error: ", style="bold red")
    text.append(printable(error.what))
    for label, part in error.parts():
        # A list of candidates may have lines of its own; they stay below their label.
        first, *rest = [printable(line) for line in part.splitlines()] or [""]
        text.append(f"\n  {label}: ", style="bold")
        text.append("\n    ".join([first, *rest]))
    return text
