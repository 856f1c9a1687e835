"""``--layout``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from rnnscope.options.table import LAYOUTS

F = TypeVar("F", bound=Callable[..., Any])


def layout_option(function: F) -> F:
    """``--layout``: whose names and gate order named arrays have."""
    return click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        help="Whose names and gate order named arrays have, such as those of an .npz.",
    )(function)
