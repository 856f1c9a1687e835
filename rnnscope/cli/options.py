"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from rnnscope.options.table import LAYOUTS

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("text", "json")
"""What ``--format`` offers: the names in `rnnscope.report.REPORTS`, which a test compares.
They stand here so that ``--help`` need not import the reports."""


def layout_option(function: F) -> F:
    """``--layout``: whose names and gate order the arrays of an .npz have."""
    return click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        help="Whose names and gate order the arrays of an .npz checkpoint have.",
    )(function)


def format_option(function: F) -> F:
    """``--format text|json``: JSON goes to stdout alone."""
    return click.option(
        "--format",
        "report_format",
        type=click.Choice(FORMATS),
        default=FORMATS[0],
        show_default=True,
        help="How to print the report; JSON has stable keys and a schema_version.",
    )(function)


def command_line() -> str:
    """The command as it was given, for reports and traces."""
    return " ".join(["rnnscope", *sys.argv[1:]])


def print_report(report: Any, report_format: str) -> None:
    """Render a report for the terminal at hand and print it on stdout."""
    import os
    import shutil

    from rnnscope.report import REPORTS

    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
    click.echo(REPORTS[report_format].render(report, width=width, color=color), nl=False)
