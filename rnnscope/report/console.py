"""The one place where rich is set up: renderables in, text out."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def make_console(width: int, *, color: bool, shades: bool = False) -> Console:
    """A console of a fixed width that writes nowhere; with 256 colours where shades matter."""
    from rich.console import Console

    return Console(
        file=StringIO(),
        width=width,
        force_terminal=color,
        color_system=("256" if shades else "standard") if color else None,
        legacy_windows=False,
    )


def text_of(
    parts: Iterable[RenderableType], *, width: int, color: bool, shades: bool = False
) -> str:
    """Parts below each other, with an empty line between them.

    Returns
    -------
    str
        Lines without trailing blanks, with a newline at the end.
    """
    console = make_console(width, color=color, shades=shades)
    with console.capture() as capture:
        for position, part in enumerate(parts):
            if position:
                console.print()
            console.print(part, crop=False)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())
