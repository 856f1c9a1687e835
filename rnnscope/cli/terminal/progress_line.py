"""What a command is doing, on one line of a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress_line(prefix: str = "") -> Iterator[Callable[[str, float], None] | None]:
    """A function that shows what is done and how much of it; the line is empty again at the end.

    Yields
    ------
    callable or None
        ``progress(words, part)``, with the part from 0 to 1; None where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return

    def show(words: str, part: float) -> None:
        click.echo(f"\r\x1b[K{prefix}{words}: {part:4.0%}", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)
