"""``rnnscope check --vectors DIR THEIRS``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from rnnscope.cli.terminal.printing import print_result
from rnnscope.cli.terminal.progress_line import progress_line
from rnnscope.printable import formats_of

F = TypeVar("F", bound=Callable[..., Any])

TAKEN = {"vectors", "explain_budget", "traces", "checkpoint", "report_format", "quiet"}
"""What goes with --vectors; the defaults of all else stay as they are."""


def vectors_options(function: F) -> F:
    """``--vectors`` and ``--explain-budget``."""
    function = click.option(
        "--explain-budget",
        type=click.FloatRange(min=0),
        default=20.0,
        show_default=True,
        metavar="SECONDS",
        help="With --vectors: time for saying why something is wrong; 0: do not.",
    )(function)
    return click.option(
        "--vectors",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Hold THEIRS, what an implementation computed, to what 'rnnscope vectors' wrote.",
    )(function)


def refuse_without_vectors(context: click.Context) -> None:
    """Refuse what says something of --vectors alone."""
    if context.get_parameter_source("explain_budget") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--explain-budget goes with --vectors")


def check_given_vectors(given: dict[str, Any], context: click.Context) -> int:
    """Do what ``--vectors`` asks for, and return the exit code."""
    from rnnscope.api.vectors import check_vectors

    defaults = {parameter.name: parameter.default for parameter in context.command.params}
    beside = [
        name for name, value in given.items()
        if name not in TAKEN and value not in (None, (), False, defaults.get(name))
    ]  # fmt: skip
    if beside or len(given["traces"]) != 1:
        raise click.UsageError(
            "--vectors DIR takes one file of what was computed, and with it --checkpoint, "
            "--explain-budget, --format and --quiet alone"
        )
    formats = formats_of("vectors-check")
    if given["report_format"] not in formats:
        raise click.UsageError(f"--vectors prints {', '.join(formats)}")
    with progress_line("explaining, trying ") as progress:
        found = check_vectors(
            given["vectors"],
            given["traces"][0],
            checkpoint=given["checkpoint"],
            budget=given["explain_budget"],
            progress=progress,
        )
    if found.status != "pass" or not given["quiet"]:
        print_result(found, given["report_format"])
    return {"pass": 0, "fail": 1, "skip": 2}[found.status]
