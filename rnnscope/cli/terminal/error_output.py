"""Errors as they leave the process: text on stderr, and a document where JSON was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import click

from rnnscope.cli.ending import let_go_of, tell
from rnnscope.cli.terminal.capabilities import wants_color
from rnnscope.errors import RnnscopeError

# Before any command begins: threads of a run that ends in an error may still be importing.
from rnnscope.report.errors.error_text import render_error

if TYPE_CHECKING:
    from rnnscope.report.errors.error_document import ErrorReport

E = TypeVar("E", bound=BaseException)


def tell_error(error: RnnscopeError, arguments: Sequence[str] | None) -> None:
    """Say what went wrong, with a next step in any case."""
    hint = _next_step(error, arguments)
    tell(render_error(error, color=wants_color(sys.stderr), hint=hint))

    tell_as_json(arguments, lambda one: _report_of(one, arguments, hint), error)


def _report_of(
    error: RnnscopeError, arguments: Sequence[str] | None, hint: str | None
) -> ErrorReport:
    from rnnscope.report.errors.error_document import ErrorReport

    return ErrorReport.of(error, _command(arguments), hint)


def _next_step(error: RnnscopeError, arguments: Sequence[str] | None) -> str | None:
    """Where more is said, for an error that knows no step of its own."""
    given = sys.argv[1:] if arguments is None else arguments
    if error.topic == "commands" and given and not given[0].startswith("-"):
        return f"rnnscope {given[0]} --help"
    return f"rnnscope help {error.topic}" if error.topic else None


def tell_as_json(
    arguments: Sequence[str] | None, document: Callable[[E], ErrorReport], error: E
) -> None:
    """Print the document of an error on stdout, if the line asks for JSON."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = "--format=json" in given or ("--format", "json") in pairwise(given)
    if not asked:
        return
    with suppress(RnnscopeError):
        try:
            click.echo(document(error).render("json"), nl=False)
        except (OSError, ValueError):
            let_go_of(sys.stdout)


def usage_report(error: click.ClickException) -> ErrorReport:
    """The document of a line that is no command's."""
    from rnnscope.report.errors.error_document import ErrorReport

    context = getattr(error, "ctx", None)
    path = "rnnscope" if context is None else context.command_path
    return ErrorReport(_command(None), type(error).__name__, error.format_message(),
                       next=f"{path} --help")  # fmt: skip


def bug_report(error: BaseException) -> ErrorReport:
    """The document of what should not have happened; its traceback is on stderr."""
    from rnnscope.report.errors.error_document import ErrorReport

    return ErrorReport(
        _command(None),
        type(error).__name__,
        "rnnscope has a bug.",
        found=str(error),
        next="its traceback is on stderr",
    )


def _command(arguments: Sequence[str] | None) -> str:
    return " ".join(["rnnscope", *(sys.argv[1:] if arguments is None else arguments)])
