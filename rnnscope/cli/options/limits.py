"""Limits as options: what reading may take of this machine, and what it may follow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from rnnscope.cli.terminal.capabilities import is_dumb
from rnnscope.files.guarding.limits import (
    MAX_SECONDS,
    MAX_UNPACKED_BYTES,
    UNPACKED_A_BYTE,
    set_limits,
)
from rnnscope.options.kinds import bytes_of

SHOWN_FROM_BYTES = 32 * 2**20
"""What is fetched of so many bytes is shown as it comes."""

F = TypeVar("F", bound=Callable[..., Any])


def limit_options(function: F) -> F:
    """``--max-bytes`` and its like: what reading may take of this machine, and may follow."""
    function = click.option(
        "--allow-outside",
        is_flag=True,
        expose_value=False,
        callback=lambda _, __, value: set_limits(allow_outside=value or None),
        help="Follow a 'checkpoint' file or a suite that names a file outside its own folder.",
    )(function)
    function = click.option(
        "--allow-remote",
        is_flag=True,
        expose_value=False,
        callback=_set_remote,
        help="Fetch what the recipe of a trace names by an address (s3://…).",
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


def _set_remote(_: click.Context, __: click.Parameter, value: bool) -> None:
    from rnnscope.files.remote.fetching import show_fetching

    set_limits(allow_remote=value or None)
    show_fetching(_fetching_bar)


@contextmanager
def _fetching_bar(url: str, size: int) -> Iterator[Callable[[int], object]]:
    """A bar on stderr while much is fetched on a terminal; else nothing."""
    if size < SHOWN_FROM_BYTES or not sys.stderr.isatty() or is_dumb():
        yield lambda _: None
        return
    name = url.rpartition("/")[2]
    with click.progressbar(length=size, label=f"fetching {name}", file=sys.stderr) as shown:
        yield shown.update


def _set_max_bytes(_: click.Context, __: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    try:
        set_limits(max_bytes=bytes_of(value))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not {error}") from error
