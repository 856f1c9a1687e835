"""Results as they are printed on stdout."""

from __future__ import annotations

import sys

import click

from rnnscope.cli.ending import let_go_of
from rnnscope.cli.terminal.capabilities import wants_color
from rnnscope.errors import RnnscopeError
from rnnscope.printable import Printable


def print_result(result: Printable, format_name: str) -> None:
    """Render a result for the terminal at hand and print it on stdout."""
    import shutil

    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
    text = result.render(format_name, width=width, color=wants_color(sys.stdout))
    try:
        # click would take the colours out again where it sees no terminal.
        click.echo(text, nl=False, color=wants_color(sys.stdout) or None)
    except BrokenPipeError:
        raise
    except OSError as error:
        let_go_of(sys.stdout)
        raise RnnscopeError(
            "The report could not be printed.",
            where="stdout",
            expected="room for what is printed",
            found=error.strerror or str(error),
            hint="only the report is lost: files that the command writes are written",
        ) from error
