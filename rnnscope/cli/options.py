"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from rnnscope.cli.ending import let_go_of_stdout
from rnnscope.errors import RnnscopeError
from rnnscope.options.table import LAYOUTS
from rnnscope.printable import Printable, formats_of

F = TypeVar("F", bound=Callable[..., Any])


def layout_option(function: F) -> F:
    """``--layout``: whose names and gate order the arrays of an .npz have."""
    return click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        help="Whose names and gate order the arrays of an .npz checkpoint have.",
    )(function)


def format_option(kind: str) -> Callable[[F], F]:
    """``--format``: what a kind of result can be printed as; JSON goes to stdout alone."""
    formats = formats_of(kind)
    return click.option(
        "--format",
        "report_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How to print the report; JSON has stable keys and a schema_version.",
    )


def command_line() -> str:
    """The command as it was given, for reports and traces."""
    return " ".join(["rnnscope", *sys.argv[1:]])


def print_result(result: Printable, format_name: str) -> None:
    """Render a result for the terminal at hand and print it on stdout."""
    import os
    import shutil

    terminal = sys.stdout.isatty()
    color = terminal and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((100, 24)).columns if terminal else 100
    text = result.render(format_name, width=width, color=color)
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        let_go_of_stdout()
        raise RnnscopeError(
            "The report could not be printed.",
            where="stdout",
            expected="room for what is printed",
            found=error.strerror or str(error),
            hint="only the report is lost: files that the command writes are written",
        ) from error
