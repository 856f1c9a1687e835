"""An error as text for stderr."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnscope.errors import RnnscopeError
from rnnscope.wording import printable

if TYPE_CHECKING:
    from rich.text import Text


def render_error(error: RnnscopeError, *, color: bool = False, hint: str | None = None) -> str:
    """The error for stderr: ``error: what``, then a labelled, indented line for each part.

    Lines are not wrapped, so that paths stay whole.

    Parameters
    ----------
    error : RnnscopeError
    color : bool
    hint : str, optional
        The next step, where the error knows none.
    """
    if not color:
        return "".join(f"{label}{text}\n" for label, text in _lines(error, hint))
    from rnnscope.report.console import make_console

    text = _error_text(error, hint)
    console = make_console(80, color=True)
    with console.capture() as capture:
        console.print(text, soft_wrap=True)
    return capture.get()


def _lines(error: RnnscopeError, hint: str | None) -> Iterator[tuple[str, str]]:
    """Every line as its label and what follows it."""
    yield "error: ", printable(error.what)
    own = error.parts()
    for label, part in own if error.hint or not hint else [*own, ("next", hint)]:
        # A list of candidates may have lines of its own; they stay below their label.
        first, *rest = [printable(line) for line in part.splitlines()] or [""]
        yield f"  {label}: ", "\n    ".join([first, *rest])


def _error_text(error: RnnscopeError, hint: str | None) -> Text:
    """The same in colours."""
    from rich.text import Text

    text = Text()
    for number, (label, words) in enumerate(_lines(error, hint)):
        text.append(f"\n{label}" if number else label, style="bold" if number else "bold red")
        text.append(words)
    return text
