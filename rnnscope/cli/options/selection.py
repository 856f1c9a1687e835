"""Options of the commands that look at states: which of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from rnnscope.cli.options.completion import complete_layers

F = TypeVar("F", bound=Callable[..., Any])

RANKINGS = ("variance", "saturation", "change")
"""What `rnnscope.seeing` knows, which a test compares: --help would load numpy to ask it."""


def _units(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str | None:  # noqa: ARG001
    return ",".join(values) or None


def labels_option(function: F) -> F:
    """``--labels``."""
    return click.option(
        "--labels",
        metavar="FILE",
        help="Tokens for the timesteps: text, a token or a sequence a line; .json; "
        "FILE.npz::NAME [default: texts of the run's own input].",
    )(function)


def selection_options(function: F) -> F:
    """``--layer --state --sequence --steps --unit --rank --labels``."""
    options = [
        click.option(
            "--layer",
            metavar="NAME",
            shell_complete=complete_layers,
            help="A layer [default: the first].",
        ),
        click.option(
            "--state",
            metavar="NAME",
            help="m, c, outputs, or a gate: i f g o (LSTM), r z n (GRU) [default: m].",
        ),
        click.option(
            "--sequence", type=int, metavar="N", help="A sequence [default: 0, the first]."
        ),
        click.option(
            "--steps", metavar="PLACES", help="Some timesteps: 0:80, ::10, last:3, or 5,9."
        ),
        click.option(
            "--unit",
            "units",
            multiple=True,
            metavar="PLACES",
            callback=_units,
            help="Some units: 17, or 0:16; may be given several times.",
        ),
        click.option(
            "--rank", type=click.Choice(RANKINGS), help="Units in this order, the highest first."
        ),
        labels_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function
