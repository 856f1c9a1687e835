"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from rnnscope.cli.ending import let_go_of
from rnnscope.cli.terminal import wants_color
from rnnscope.errors import RnnscopeError
from rnnscope.files.guarding.limits import (
    MAX_SECONDS,
    MAX_UNPACKED_BYTES,
    UNPACKED_A_BYTE,
    set_limits,
)
from rnnscope.options.kinds import bytes_of
from rnnscope.options.table import LAYOUTS
from rnnscope.printable import Printable, formats_of

F = TypeVar("F", bound=Callable[..., Any])


def layout_option(function: F) -> F:
    """``--layout``: whose names and gate order named arrays have."""
    return click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        help="Whose names and gate order named arrays have, such as those of an .npz.",
    )(function)


def limit_options(function: F) -> F:
    """``--max-bytes`` and ``--max-seconds``: what reading files may take of this machine."""
    function = click.option(
        "--allow-outside",
        is_flag=True,
        expose_value=False,
        callback=lambda _, __, value: set_limits(allow_outside=value or None),
        help="Follow a 'checkpoint' file or a suite that names a file outside its own folder.",
    )(function)
    function = click.option(
        "--max-seconds",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        expose_value=False,
        callback=lambda _, __, value: set_limits(max_seconds=value),
        help=f"Time for reading a file, in seconds [default: {MAX_SECONDS}].",
    )(function)
    return click.option(
        "--max-bytes",
        metavar="SIZE",
        expose_value=False,
        callback=_set_max_bytes,
        help="What compressed data of one file may unpack to, such as 4GB [default: "
        f"{MAX_UNPACKED_BYTES // 2**20}MiB, or {UNPACKED_A_BYTE} times the file].",
    )(function)


def _set_max_bytes(_: click.Context, __: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    try:
        set_limits(max_bytes=bytes_of(value))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not {error}") from error


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
