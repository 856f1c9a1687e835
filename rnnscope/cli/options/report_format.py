"""``--format``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from rnnscope.printable import formats_of

F = TypeVar("F", bound=Callable[..., Any])


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
