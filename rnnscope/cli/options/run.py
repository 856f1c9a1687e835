"""The options of a run as flags, made from their table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from rnnscope.cli.options.completion import complete_layers, complete_values
from rnnscope.options import RUN_OPTIONS, RunOption, option_named
from rnnscope.options.kinds import ByLayer, Choice, Integer, ValueKind
from rnnscope.options.table import OF_THE_MODEL

F = TypeVar("F", bound=Callable[..., Any])

NAMES_A_LAYER = ("GLOB", "LAYER")
"""Metavars of options that take a layer of the model."""


def run_options(function: F) -> F:
    """Every option of a run, in the order of the table."""
    for option in reversed(RUN_OPTIONS):
        function = as_click_option(option)(function)
    return function


def model_options(function: F) -> F:
    """Those that say what is computed, for commands that compute it in a way of their own."""
    return _options_of(OF_THE_MODEL, function)


def layer_options(function: F) -> F:
    """The options of layers, for commands that read a checkpoint and run nothing over an input."""
    return _options_of(("layer",), function)


def _options_of(groups: tuple[str, ...], function: F) -> F:
    for option in reversed(RUN_OPTIONS):
        if option.group in groups:
            function = as_click_option(option)(function)
    return function


def as_click_option(option: RunOption) -> Callable[[F], F]:
    """One option as a flag."""
    kind = option.kind
    if kind.is_switch:
        both = "/" in option.flag_name
        return click.option(
            option.flag_name,
            option.name,
            is_flag=True,
            default=None if both or option.default is None else option.default,
            help=option.help,
        )
    told: dict[str, Any] = {"help": option.help, "metavar": kind.metavar, "multiple": kind.many}
    if option.default_words:
        told["help"] += f" [default: {option.default_words}]."
    if isinstance(kind, ByLayer):
        told["shell_complete"] = completing(kind.of)
    if kind.metavar.startswith(NAMES_A_LAYER):
        told["shell_complete"] = complete_layers
    if isinstance(kind, Choice) and kind.names:
        told |= {"type": click.Choice(kind.names), "metavar": None}
    if isinstance(kind, Integer):
        told["type"] = click.IntRange(min=kind.least)
    if option.default not in (None, ()) and not option.default_words:
        told |= {"default": option.default, "show_default": True}
    return click.option(option.flag_name, option.name, **told)


def completing(kind: ValueKind) -> Callable[..., list[str]]:
    """What a shell offers for ``[LAYER=]VALUE``."""

    def complete(ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        names: tuple[str, ...] = ()
        if isinstance(kind, Choice):
            names = (*kind.names, *(kind.more() if kind.more else ()))
        return complete_values(names, ctx, begun)

    return complete


def given_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options among the values that click parsed; what was not given is left out."""
    return {
        option.name: values[option.name]
        for option in RUN_OPTIONS
        if values.get(option.name) not in (None, ())
    }


def run_set_option(function: F) -> F:
    """``--run NAME=VALUE``: any option of a run, for commands that start one."""
    return click.option(
        "--run",
        "run",
        multiple=True,
        metavar="NAME=VALUE",
        help="An option of 'rnnscope run' for what is computed: --run lengths=10,6.",
    )(function)


def parse_run_set(texts: Iterable[str]) -> dict[str, Any]:
    """``NAME=VALUE`` texts as options of a run; a name alone switches on what is a switch."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        option = option_named(name.strip().replace("-", "_"), RUN_OPTIONS, what="option of a run")
        if option.executes_model:
            raise click.UsageError(f"{option.flag_name} is for 'rnnscope run' alone")
        one: Any = value if equals else True
        found[option.name] = (*found.get(option.name, ()), one) if option.kind.many else one
    return found
